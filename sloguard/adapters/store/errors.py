"""What can go wrong with a store, told apart, each with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from sloguard.ports import OutsideError


class StoreError(OutsideError):
    """The store did not do what was asked. The text says what to do."""


class StoreUnreachable(StoreError):
    """It cannot be opened: no such directory, no connection, wrong password."""


class StoreNotAllowed(StoreError):
    """It may not be read or written."""


class StoreFull(StoreError):
    """There is no room left on the disk, or in a quota."""


class StoreBusy(StoreError):
    """Somebody else held it for longer than is waited."""


class StoreDamaged(StoreError):
    """The file is broken."""


class NotAStore(StoreError):
    """The database belongs to something else."""


class StoreTooNew(StoreError):
    """It was written by a newer sloguard."""


class RunNotFound(StoreError):
    """No run of this id."""


class AmbiguousRun(StoreError):
    """Several runs begin with this text."""

    def __init__(self, text: str, found: Sequence[str]) -> None:
        super().__init__(f"'{text}' fits several runs: {', '.join(found)}; give more of the id")
        self.found = tuple(found)


class RunExists(StoreError):
    """A run of this id is already there."""


class OpenFaults(StoreError):
    """The run may not be deleted: it still runs, or its faults are not all undone."""


def classify(error: BaseException, where: str) -> StoreError:
    """The error of a driver as one of ours; ``where``: the store, without credentials."""
    original = getattr(error, "orig", None) or error
    sqlite_name = getattr(original, "sqlite_errorname", None)
    if isinstance(sqlite_name, str):
        return _sqlite(sqlite_name, str(original), where)
    sqlstate = getattr(original, "sqlstate", None)
    if type(original).__module__.startswith("psycopg"):
        return _postgresql(sqlstate or "", _first_line(original), where)
    if isinstance(original, ModuleNotFoundError):
        return StoreUnreachable(
            f"the store {where} needs the package {original.name}: "
            "install sloguard with its extra, sloguard[postgresql]"
        )
    return StoreError(f"the store {where} failed: {type(original).__name__}: {original}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _sqlite(name: str, text: str, where: str) -> StoreError:
    table: tuple[tuple[str, type[StoreError], str], ...] = (
        ("SQLITE_FULL", StoreFull, "there is no room left for it: free some, or move the store"),
        (
            "SQLITE_READONLY",
            StoreNotAllowed,
            "it may not be written: give yourself write access to the file and its directory, "
            "or choose another store",
        ),
        ("SQLITE_PERM", StoreNotAllowed, "access is denied: check the file's owner and mode"),
        ("SQLITE_AUTH", StoreNotAllowed, "access is denied: check the file's owner and mode"),
        (
            "SQLITE_CANTOPEN",
            StoreUnreachable,
            "it cannot be opened: check that its directory exists and may be written",
        ),
        (
            "SQLITE_CORRUPT",
            StoreDamaged,
            "the file is damaged: move it away (a new one is made), or restore a copy; "
            "'sqlite3 FILE .recover' saves what can be saved",
        ),
        (
            "SQLITE_NOTADB",
            StoreDamaged,
            "the file is not an SQLite database, or its beginning is damaged: move it away "
            "(a new one is made), or choose another store",
        ),
        ("SQLITE_BUSY", StoreBusy, "another process is writing to it for too long: try again"),
        ("SQLITE_LOCKED", StoreBusy, "another process is writing to it for too long: try again"),
        (
            "SQLITE_IOERR",
            StoreFull,
            "the disk did not take or give the data: check its room, quota, size limit and health",
        ),
    )
    for prefix, kind, advice in table:
        if name.startswith(prefix):
            return kind(f"the store {where}: {advice} ({text})")
    return StoreError(f"the store {where} failed: {text} ({name})")


def _postgresql(state: str, text: str, where: str) -> StoreError:
    table: tuple[tuple[str, type[StoreError], str], ...] = (
        ("53100", StoreFull, "the server's disk is full: free some room there"),
        ("53", StoreBusy, "the server has no resources left for it: try again later"),
        ("25006", StoreNotAllowed, "the server only reads (a replica?): use the primary"),
        ("28", StoreNotAllowed, "the server refused the user or password: check the store's URL"),
        ("42501", StoreNotAllowed, "the user may not do this there: grant the rights"),
        ("3D000", StoreUnreachable, "there is no such database: create it first"),
        ("55P03", StoreBusy, "somebody else held a lock for too long: try again"),
        ("57014", StoreBusy, "the server stopped the statement after its time limit: try again"),
        ("57P", StoreUnreachable, "the server is going down or starting: try again"),
        ("08", StoreUnreachable, "the connection to the server is lost: try again"),
        ("", StoreUnreachable, "no connection: check the address, and that the server runs"),
    )
    for prefix, kind, advice in table:
        if state.startswith(prefix) and (prefix or not state):
            return kind(f"the store {where}: {advice} ({text})")
    return StoreError(f"the store {where} failed: {text} ({state})")
