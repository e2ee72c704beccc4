"""What the API server answers when it does not do what was asked: Status objects."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """Ends a request with a Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.headers = code, headers or {}
        self.body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            "code": code,
        }
        if details is not None:
            self.body["details"] = details


class Nowhere(Exception):
    """A path that nothing is served at: 404 as plain text."""


def about(kind: Any, name: str) -> dict[str, Any]:
    """The details of most refusals."""
    found = {"name": name, "kind": kind.plural}
    return {"name": name, "group": kind.group, "kind": kind.plural} if kind.group else found


def not_found(kind: Any, name: str) -> Refused:
    return Refused(404, "NotFound", f'{kind.full_name} "{name}" not found', about(kind, name))


def modified(kind: Any, name: str) -> Refused:
    text = (
        f'Operation cannot be fulfilled on {kind.full_name} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return Refused(409, "Conflict", text, about(kind, name))


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def success(kind: Any, name: str, uid: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**about(kind, name), "uid": uid},
    }
