"""What an experiment may do when a service runs it, and where the values of a request may not go.

An experiment in a directory of the service may always use sloguard's own faults and probes, and http
providers within ``serve.allow_urls``. Processes and other Python code (controls are such) have to be allowed
for its directory; so has the one fault that starts a command of the experiment's on this machine. What a
request gives as variables reaches no process, no command, no path and no name of code, allowed or not.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sloguard.core.model import Json
from sloguard.engine.aliases import alias_of
from sloguard.engine.driver_names import TABLE
from sloguard.faults.base import FaultFunction
from sloguard.probes.base import registry
from sloguard.spec.substitution import Scope

PROCESS, PYTHON = "process", "python"
PERMISSIONS = frozenset({PROCESS, PYTHON})
HTTP = "http"
#: By what a provider is known.
_KEYS = {PYTHON: ("module", "func"), PROCESS: ("path",), HTTP: ("url",)}
_OWN_ROOMS = ("sloguard.faults.", "sloguard.probes.")
#: Own faults that do on this machine what a process provider does, with the arguments that make them do so.
_COMMANDS = {"sloguard.faults.processes.restart": ("command", "directory", "log")}
#: Arguments that are commands, paths or manifests, of whichever fault or provider.
_NOT_FOR_REQUESTS = frozenset(
    [
        "cmd",
        "command",
        "directory",
        "in_cluster",
        "log",
        "manifest",
        "pid_file",
        "undo_cmd",
        "verify_tls",
    ]
)


@dataclass(frozen=True, slots=True)
class Need:
    """Something in an experiment that its directory has to allow. ``path``: where it stands."""

    permission: str
    path: str
    what: str

    @property
    def message(self) -> str:
        """For people."""
        return f"{self.what} needs the permission '{self.permission}', which this directory does not have"


@dataclass(frozen=True, slots=True)
class NotAllowed(Exception):
    """A provider may not be called here."""

    reason: str

    def __str__(self) -> str:
        return self.reason


def needs(declared: Mapping[str, Json]) -> tuple[Need, ...]:
    """Every process and all Python code that is not sloguard's own, anywhere in a document as written."""
    found = (_need(path, provider) for path, provider in _providers(declared, ""))
    return tuple(need for need in found if need is not None)


def refused(declared: Mapping[str, Json], allowed: frozenset[str]) -> tuple[Need, ...]:
    """What of it is not allowed."""
    return tuple(need for need in needs(declared) if need.permission not in allowed)


def closed_to_requests(declared: Mapping[str, Json]) -> Mapping[str, str]:
    """Names of variables that a request may not set, with the place where each would reach code."""
    found: dict[str, str] = {}
    names = declared.get("configuration") or {}
    for path, provider in _providers(declared, ""):
        exposed = _exposed(provider)
        for name in names if isinstance(names, Mapping) else ():
            if name not in found and _mentions(exposed, str(name)):
                found[str(name)] = path
    return found


def check_call(provider: Mapping[str, Json], allowed: frozenset[str]) -> None:
    """Right before a provider is called, everything filled in. Raises NotAllowed."""
    # A driver's name at this point means the driver: what sloguard does itself has another name by now.
    need = _need("", provider, drivers=False)
    if need is not None and need.permission not in allowed:
        raise NotAllowed(need.message)


def is_own(module: str, func: str) -> bool:
    """Whether a name is one of sloguard's faults, probes, or functions for rollbacks; not whatever else
    their modules hold."""
    if not module.startswith(_OWN_ROOMS):
        return False
    try:
        found = getattr(importlib.import_module(module), func, None)
    except ImportError:
        return False
    if isinstance(found, FaultFunction) or f"{module.rpartition('.')[2]}.{func}" in registry:
        return True
    # What stands in for a driver's function in rollbacks.
    return f"{module}.{func}" in {alias.rollback_target for alias in TABLE.values()}


def _need(path: str, provider: Mapping[str, Json], *, drivers: bool = True) -> Need | None:
    if _kind(provider) == PROCESS:
        return Need(PROCESS, path, f"the process {provider.get('path')!r}")
    module, func = str(provider.get("module") or ""), str(provider.get("func") or "")
    if _kind(provider) != PYTHON:
        return None
    if is_own(module, func):
        return _command(path, provider, f"{module}.{func}")
    if drivers and _stands_in(path, module, func):
        return None
    what = f"{module}.{func}" if func else f"the control {module}"
    return Need(PYTHON, path, f"the Python code {what}")


def _command(path: str, provider: Mapping[str, Json], name: str) -> Need | None:
    """A fault of ours that is told to start something of the experiment's."""
    arguments = provider.get("arguments") or {}
    given = _COMMANDS.get(name, ())
    # A lone variable may bring in anything.
    if isinstance(arguments, Mapping) and not any(arguments.get(key) is not None for key in given):
        return None
    return Need(PROCESS, path, f"a command of {name}") if given else None


def _exposed(provider: Mapping[str, Json]) -> Any:
    """The parts of a provider that no value of a request may be in."""
    if _kind(provider) == PROCESS:
        return provider
    arguments = provider.get("arguments")
    parts = [provider.get("module"), provider.get("func"), provider.get("verify_tls")]
    if _kind(provider) == HTTP:
        return parts
    if not isinstance(arguments, Mapping):
        return [*parts, arguments]
    return [*parts, *(v for key, v in arguments.items() if str(key) in _NOT_FOR_REQUESTS)]


def _stands_in(path: str, module: str, func: str) -> bool:
    """Whether a function of a driver is one that sloguard does itself where it stands."""
    alias = alias_of(module, func)
    return alias is not None and bool(alias.target_in(path.startswith("rollbacks")))


def _kind(provider: Mapping[str, Json]) -> str:
    return str(provider.get("type") or "").strip().lower()


def _providers(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Whatever looks like a provider, at any depth: rather one too many."""
    if isinstance(value, Mapping):
        if any(key in value for key in _KEYS.get(_kind(value), ())):
            yield path, value
        for key, child in value.items():
            yield from _providers(child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _providers(child, f"{path}[{index}]")


def _mentions(value: Any, name: str) -> bool:
    """Whether filling in this one variable would change it."""
    return bool(Scope({name: "\0filled in\0"}).fill(value) != Scope({}).fill(value))
