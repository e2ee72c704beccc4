"""What a fault of Istio changes in a VirtualService. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sloguard.core.model import Json
from sloguard.core.objective import ObjectiveError, parse_duration
from sloguard.faults.arguments import percent, whole
from sloguard.faults.base import FaultError
from sloguard.faults.targets import title
from sloguard.faults.undo_records import Edit, Insert, Put
from sloguard.ports import Object


def edits_of(obj: Object, wanted: Mapping[str, Any]) -> list[Edit]:
    """The changes to a VirtualService as it is now. Raises FaultError where no route of it is meant."""
    routes = chosen_routes(obj, wanted)
    if not routes:
        raise FaultError(f"{title(obj)}: {no_route(wanted)}")
    if not wanted["headers"]:
        return [
            Put(("spec", "http", index, "fault", kind), value)
            for index in routes
            for kind, value in wanted["fault"].items()
        ]
    http = obj["spec"]["http"]
    return [
        Insert(
            ("spec", "http"),
            _only_with(http[index], wanted, f"{wanted['label']}-{index}"),
            by=("name",),
            at=index + shift,
        )
        for shift, index in enumerate(routes)
    ]


def _only_with(route: Mapping[str, Any], wanted: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy of a route for requests with these headers only, to stand before it."""
    made = copy.deepcopy(dict(route))
    headers = {key: {"exact": str(value)} for key, value in wanted["headers"].items()}
    # Of several alternatives only those that such requests can fulfil: the others' requests go elsewhere.
    matches = [m for m in made.get("match") or [{}] if _can_match(m, wanted["headers"])]
    made["match"] = [{**m, "headers": {**(m.get("headers") or {}), **headers}} for m in matches]
    made["fault"] = {**(made.get("fault") or {}), **copy.deepcopy(wanted["fault"])}
    made["name"] = name
    return made


def _can_match(match: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    """Whether requests with these headers can fulfil a match of a route."""
    asked = {str(key).lower(): str(value) for key, value in headers.items()}
    for key, rule in (match.get("headers") or {}).items():
        if key.lower() in asked and not _fits(rule or {}, asked[key.lower()]):
            return False
    unwanted = match.get("withoutHeaders") or {}
    return not any(
        key.lower() in asked and _fits(rule or {}, asked[key.lower()])
        for key, rule in unwanted.items()
    )


def _fits(rule: Mapping[str, Any], value: str) -> bool:
    """Whether a header's value fulfils Istio's StringMatch; an empty one asks only that it is there."""
    if "exact" in rule:
        return bool(rule["exact"] == value)
    if "prefix" in rule:
        return value.startswith(str(rule["prefix"]))
    if "regex" in rule:
        try:
            return re.fullmatch(str(rule["regex"]), value) is not None
        except re.error:
            return True  # RE2 knows what this does not: the server has accepted it
    return True


def chosen_routes(obj: Object, wanted: Mapping[str, Any]) -> list[int]:
    """Where in ``spec.http`` the routes are that are to be hit."""
    found = []
    for index, route in enumerate((obj.get("spec") or {}).get("http") or []):
        named_so = not wanted["route_names"] or route.get("name") in wanted["route_names"]
        # A redirect or a direct response goes nowhere, and Istio refuses a fault on it.
        targets = [target.get("destination") or {} for target in route.get("route") or []]
        asked = wanted["destinations"]
        fits = targets if not asked else [t for t in targets if any(_goes(t, a) for a in asked)]
        # What sloguard has put in front of a route is no route of its own.
        ours = str(route.get("name") or "").startswith("sloguard-")
        reached = any(_can_match(m, wanted["headers"]) for m in route.get("match") or [{}])
        if named_so and fits and not ours and reached:
            found.append(index)
    return found


def unmatched(obj: Object, wanted: Mapping[str, Any]) -> str:
    """Which of the destinations, names and headers that are asked for no route of it has; empty if none."""
    http = (obj.get("spec") or {}).get("http") or []
    names = [str(route.get("name")) for route in http if route.get("name")]
    for name in wanted["route_names"]:
        if name not in names:
            known = f"it has {', '.join(names)}" if names else "none of its routes has a name"
            return f"it has no HTTP route named {name}; {known}"
    targets = [t.get("destination") or {} for route in http for t in route.get("route") or []]
    for asked in wanted["destinations"]:
        if not any(_goes(target, asked) for target in targets):
            shown = "; ".join(dict.fromkeys(_destination(target) for target in targets))
            return f"no HTTP route of it leads to {_destination(asked)}; they lead to {shown or 'nothing'}"
    if wanted["headers"] and chosen_routes(obj, {**wanted, "headers": {}}):
        headers = ", ".join(f"{key}: {value}" for key, value in wanted["headers"].items())
        if not chosen_routes(obj, wanted):
            return f"no request with {headers} can reach its routes, which ask for other values"
    return ""


def _destination(found: Mapping[str, Any]) -> str:
    subset = f" (subset {found['subset']})" if found.get("subset") else ""
    return f"{found.get('host')}{subset}"


def _goes(target: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    return all(target.get(key) == value for key, value in asked.items())


def wanted_of(
    faults: dict[str, Json], routes: Any, route_names: Any, headers: Any
) -> dict[str, Json]:
    """What is to be done to whichever VirtualService is chosen, as JSON."""
    if headers is not None and (not isinstance(headers, Mapping) or not headers):
        raise FaultError("headers: expected a mapping of names to values")
    return {
        "fault": faults,
        "destinations": destinations_of(routes),
        "route_names": list(route_names or []),
        # Istio knows them in small letters only.
        "headers": {str(name).lower(): value for name, value in (headers or {}).items()},
    }


def _share(percentage: Any, name: str) -> dict[str, float]:
    return {"value": 100.0 if percentage is None else percent(percentage, name) * 100}


def abort(http_status: Any, percentage: Any) -> dict[str, Any]:
    """Istio's abort. Raises FaultError."""
    status = whole(http_status, "http_status", least=200, most=599)
    return {"httpStatus": status, "percentage": _share(percentage, "percentage")}


def delay(fixed_delay: Any, percentage: Any, name: str = "percentage") -> dict[str, Any]:
    """Istio's delay. Raises FaultError."""
    try:
        seconds = parse_duration(fixed_delay)
    except ObjectiveError as error:
        raise FaultError(f"fixed_delay: {error}") from None
    if seconds < 0.001:
        raise FaultError(f"fixed_delay: must be at least 1ms, found {fixed_delay}")
    return {
        "fixedDelay": f"{seconds:.6f}".rstrip("0").rstrip(".") + "s",
        "percentage": _share(percentage, name),
    }


def whole_fault(given: Any) -> dict[str, Any]:
    """Abort, delay or both, as they stand in a VirtualService. Raises FaultError."""
    known = {"abort": {"httpStatus", "percentage"}, "delay": {"fixedDelay", "percentage"}}
    if not isinstance(given, Mapping) or not given or not set(given) <= set(known):
        raise FaultError(f"fault: expected a mapping with abort, delay or both, found {given!r}")
    for kind, part in given.items():
        odd = set(part) - known[kind] if isinstance(part, Mapping) else {part}
        if odd:
            shown = ", ".join(map(str, sorted(odd, key=str)))
            raise FaultError(
                f"fault.{kind}: expected {' and '.join(sorted(known[kind]))}, found {shown}"
            )
    faults = {}
    if "abort" in given:
        faults["abort"] = abort(given["abort"].get("httpStatus"), _value(given["abort"]))
    if "delay" in given:
        faults["delay"] = delay(given["delay"].get("fixedDelay"), _value(given["delay"]))
    return faults


def _value(part: Mapping[str, Any]) -> Any:
    """Istio's Percent, or a bare number."""
    share = part.get("percentage")
    return share.get("value") if isinstance(share, Mapping) else share


def in_words(kind: str, value: Mapping[str, Any]) -> str:
    """An abort or a delay for people."""
    share = f"{value['percentage']['value']:g}% of the requests"
    if kind == "abort":
        return f"abort {share} with {value['httpStatus']}"
    return f"delay {share} by {value['fixedDelay']}"


def no_route(wanted: Mapping[str, Any]) -> str:
    """Why a VirtualService has nothing to hit."""
    asked: Sequence[Any] = wanted["destinations"] or wanted["route_names"]
    shown = f" of {', '.join(map(str, asked))}" if asked else ""
    return f"it has no HTTP route{shown} that leads to a destination"


def destinations_of(routes: Any) -> list[dict[str, Any]]:
    """The destinations of ``routes`` as chaosistio takes them. Raises FaultError."""
    destinations: list[dict[str, Any]] = []
    for route in routes or []:
        found = route.get("destination") if isinstance(route, Mapping) else None
        if not isinstance(found, Mapping) or not found:
            raise FaultError(
                f"routes: expected a list of {{destination: {{host: …, subset: …}}}}, found {route!r}"
            )
        destinations.append(dict(found))
    return destinations


def removals_of(obj: Object, record: Mapping[str, Any]) -> list[Edit]:
    """What takes the faults of the ``kinds`` of a record from routes to its ``destinations``, whoever's
    they are. Istio refuses a ``fault`` with nothing in it, so that the last of them takes it along."""
    edits = list[Edit]()
    for index, route in enumerate((obj.get("spec") or {}).get("http") or []):
        found = route.get("fault") or {}
        # What sloguard has put in front of a route goes, or stays, as a whole.
        ours = str(route.get("name") or "").startswith("sloguard-")
        there = [kind for kind in _kinds(record) if kind in found]
        if there and not ours and _leads(route, record["destinations"]):
            rest = [(kind,) for kind in there] if set(found) - set(there) else [()]
            edits += [Put(("spec", "http", index, "fault", *part), None) for part in rest]
    return edits


def _kinds(record: Mapping[str, Any]) -> list[str]:
    """Abort, delay or both; older records have one alone."""
    return [str(kind) for kind in record.get("kinds") or [record["kind"]]]


def _leads(route: Mapping[str, Any], asked: Sequence[Mapping[str, Any]]) -> bool:
    targets = [target.get("destination") or {} for target in route.get("route") or []]
    return not asked or any(_goes(target, one) for target in targets for one in asked)


def changes_of_kind(obj: Object, record: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
    """Which changes are faults of the ``kinds`` of a record, on routes to its ``destinations``."""
    http = (obj.get("spec") or {}).get("http") or []

    def goes(route: Mapping[str, Any]) -> bool:
        return _leads(route, record["destinations"])

    def meant(change: Mapping[str, Any]) -> bool:
        if "item" in change:
            kinds = set(change["item"].get("fault") or {})
            return kinds <= set(_kinds(record)) and goes(change["item"])
        path = change["path"]
        return bool(path[-1] in _kinds(record)) and path[2] < len(http) and goes(http[path[2]])

    return meant
