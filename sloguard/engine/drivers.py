"""The drivers of the Chaos Toolkit that are known here: which are installed, and which of them can work."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sloguard.engine.driver_names import DRIVERS

#: chaosistio, up to its last release, calls the Kubernetes client in a way that this version took away.
_ISTIO_BREAKS_AT, _LAST_BROKEN_ISTIO = 36, (0, 4, 1)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class Drivers:
    """``wanted``: drivers are called even where sloguard has a function of its own.

    ``installed`` tells of a package whether it can be imported, ``version`` of a distribution which one is
    there.
    """

    wanted: bool = False
    installed: Callable[[str], bool] = _installed
    version: Callable[[str], str | None] = _version
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


def driver_of(provider: Mapping[str, Any]) -> str:
    """The package of a driver that is known here, of a python provider; empty for any other."""
    package = str(provider.get("module") or "").partition(".")[0]
    return package if provider.get("type") == "python" and package in DRIVERS else ""


def can_be_found(package: str, drivers: Drivers) -> bool:
    """Whether a package can be imported."""
    try:
        return drivers.installed(package)
    except (ImportError, ValueError):
        return False


def broken(package: str, drivers: Drivers) -> str:
    """A driver that is known to fail with what is installed beside it."""
    client = _numbers(drivers.version("kubernetes"))
    if package != "chaosistio" or not client or client[0] < _ISTIO_BREAKS_AT:
        return ""
    own = _numbers(drivers.version(DRIVERS[package]))
    if own and own > _LAST_BROKEN_ISTIO:
        return ""
    return (
        f"chaosistio {'.'.join(map(str, own))}".rstrip()
        + f" fails with the Kubernetes client {'.'.join(map(str, client))}: "
        f"pip install 'kubernetes<{_ISTIO_BREAKS_AT}', or run without --use-drivers on sloguard's own faults"
    )


def _numbers(version: str | None) -> tuple[int, ...]:
    parts = (version or "").split(".")
    digits = ["".join(c for c in part if c.isdigit()) for part in parts[:3]]
    return tuple(int(part) for part in digits if part)
