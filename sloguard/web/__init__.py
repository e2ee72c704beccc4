"""The service over HTTP: a JSON API under ``/api/v1``, health, metrics. It never carries out a run itself.

``create_app`` makes the WSGI application; Flask is imported with it, not with this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sloguard.web.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from sloguard.web.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
