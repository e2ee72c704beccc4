"""Faults of Istio: requests aborted or delayed by the routes of VirtualServices.

Which VirtualServices: by name, by label, or at random. Which of their routes: those to the destinations
of ``routes``, those of ``route_names``, or all; and of these, only requests that bear ``headers``. What
was there before, someone else's fault too, is put back on undo, also from the object alone.
"""

from __future__ import annotations

from typing import Any

from sloguard.faults import marking
from sloguard.faults.base import Context, Plan, fault
from sloguard.faults.istio_planning import inject, plan
from sloguard.faults.istio_removing import removal, take_away
from sloguard.faults.istio_routes import abort, delay, wanted_of, whole_fault
from sloguard.faults.istio_selection import Whom, lock_of, needs, served
from sloguard.faults.istio_wording import removing_wording, whom_wording

__all__ = [
    "add_abort_and_delay_fault",
    "add_abort_fault",
    "add_delay_fault",
    "lock_of",
    "remove_abort_fault",
    "remove_delay_fault",
    "served",
    "set_fault",
    "unset_fault",
]


@fault("istio.add_abort_fault", inject=inject, undo=marking.undo, needs=needs)
@whom_wording
def add_abort_fault(
    virtual_service_name: str | None = None,
    http_status: int = 500,
    routes: list[dict[str, Any]] | None = None,
    percentage: float | str | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    name_pattern: str | None = None,
    route_names: list[str] | None = None,
    headers: dict[str, str] | None = None,
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Answer requests with an error in place of the service, by Istio.

    http_status: The status that is answered, 200 to 599.
    """
    faults = {"abort": abort(http_status, percentage)}
    whom = Whom.of(
        virtual_service_name, ns, label_selector, name_pattern, rand, qty, all, seed, opt_in
    )
    return plan(
        "istio.add_abort_fault",
        whom,
        wanted_of(faults, routes, route_names, headers),
        version,
        cluster,
        context,
    )


@fault("istio.add_delay_fault", inject=inject, undo=marking.undo, needs=needs)
@whom_wording
def add_delay_fault(
    virtual_service_name: str | None = None,
    fixed_delay: str | float = "5s",
    routes: list[dict[str, Any]] | None = None,
    percentage: float | str | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    name_pattern: str | None = None,
    route_names: list[str] | None = None,
    headers: dict[str, str] | None = None,
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Hold requests back before they are forwarded, by Istio.

    fixed_delay: How long, as 5s or a number of seconds.
    """
    faults = {"delay": delay(fixed_delay, percentage)}
    whom = Whom.of(
        virtual_service_name, ns, label_selector, name_pattern, rand, qty, all, seed, opt_in
    )
    return plan(
        "istio.add_delay_fault",
        whom,
        wanted_of(faults, routes, route_names, headers),
        version,
        cluster,
        context,
    )


@fault("istio.add_abort_and_delay_fault", inject=inject, undo=marking.undo, needs=needs)
@whom_wording
def add_abort_and_delay_fault(
    virtual_service_name: str | None = None,
    http_status: int = 500,
    fixed_delay: str | float = "5s",
    routes: list[dict[str, Any]] | None = None,
    percentage: float | str | None = None,
    delay_percentage: float | str | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    name_pattern: str | None = None,
    route_names: list[str] | None = None,
    headers: dict[str, str] | None = None,
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Hold requests back and answer some of them with an error, by Istio, in one change.

    http_status: The status that is answered, 200 to 599.
    fixed_delay: How long requests are held back, as 5s or a number of seconds.
    delay_percentage: Share of the requests that are held back, all of them if not given.
    """
    faults = {
        "abort": abort(http_status, percentage),
        "delay": delay(fixed_delay, delay_percentage, "delay_percentage"),
    }
    whom = Whom.of(
        virtual_service_name, ns, label_selector, name_pattern, rand, qty, all, seed, opt_in
    )
    return plan(
        "istio.add_abort_and_delay_fault",
        whom,
        wanted_of(faults, routes, route_names, headers),
        version,
        cluster,
        context,
    )


@fault("istio.set_fault", inject=inject, undo=marking.undo, needs=needs)
@whom_wording
def set_fault(
    virtual_service_name: str | None = None,
    routes: list[dict[str, Any]] | None = None,
    fault: dict[str, Any] | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    name_pattern: str | None = None,
    route_names: list[str] | None = None,
    headers: dict[str, str] | None = None,
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Abort requests, hold them back, or both, as it would stand in a VirtualService.

    fault: As Istio has it, {abort: {httpStatus: 503, percentage: {value: 50}}, delay: {fixedDelay: 5s}}.
    """
    faults = whole_fault(fault)
    whom = Whom.of(
        virtual_service_name, ns, label_selector, name_pattern, rand, qty, all, seed, opt_in
    )
    return plan(
        "istio.set_fault",
        whom,
        wanted_of(faults, routes, route_names, headers),
        version,
        cluster,
        context,
    )


@fault("istio.remove_abort_fault", inject=take_away, undo=marking.undo, needs=needs)
@removing_wording
def remove_abort_fault(
    virtual_service_name: str | None = None,
    routes: list[dict[str, Any]] | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    foreign: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Take away the aborts that sloguard has put on VirtualServices; those of others only if asked for."""
    return removal(
        "abort",
        virtual_service_name,
        routes,
        ns,
        label_selector,
        version,
        foreign,
        cluster,
        context,
    )


@fault("istio.unset_fault", inject=take_away, undo=marking.undo, needs=needs)
@removing_wording
def unset_fault(
    virtual_service_name: str | None = None,
    routes: list[dict[str, Any]] | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    foreign: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Take away the aborts and delays that sloguard has put on VirtualServices; those of others only if asked for."""
    return removal(
        "",
        virtual_service_name,
        routes,
        ns,
        label_selector,
        version,
        foreign,
        cluster,
        context,
    )


@fault("istio.remove_delay_fault", inject=take_away, undo=marking.undo, needs=needs)
@removing_wording
def remove_delay_fault(
    virtual_service_name: str | None = None,
    routes: list[dict[str, Any]] | None = None,
    ns: str | list[str] = "default",
    version: str | None = None,
    label_selector: str = "",
    foreign: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Take away the delays that sloguard has put on VirtualServices; those of others only if asked for."""
    return removal(
        "delay",
        virtual_service_name,
        routes,
        ns,
        label_selector,
        version,
        foreign,
        cluster,
        context,
    )
