"""What probes there are, read from their signatures and docstrings."""

from __future__ import annotations

import importlib

from sloguard.core.describing import Entry, described
from sloguard.probes.base import registry

#: Each a module of this package.
FAMILIES = (
    "daemonsets",
    "deployments",
    "istio",
    "microservices",
    "nodes",
    "objects",
    "pods",
    "services",
    "statefulsets",
)


def catalogue() -> tuple[Entry, ...]:
    """Every probe, by name. Imports all families."""
    for family in FAMILIES:
        importlib.import_module(f"sloguard.probes.{family}")
    return tuple(
        described(name, registry[name], "probe", left_out=("secrets",)) for name in sorted(registry)
    )
