"""The functions of chaosk8s and chaosistio, each with what stands in for it: one table of all of them."""

from __future__ import annotations

# Each enters its functions into the table.
from sloguard.engine import driver_network, driver_objects, driver_pods, driver_probes
from sloguard.engine.driver_entries import DRIVERS, TABLE, Alias

__all__ = [
    "DRIVERS",
    "TABLE",
    "Alias",
    "driver_network",
    "driver_objects",
    "driver_pods",
    "driver_probes",
]
