"""Documents -> rows: of a run only what reports add up, so that thousands of documents need little room.

Of a document only these keys are read, whatever else stands in it, and one that cannot be read costs its
run's details and nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from sloguard.core.reporting import RunSource
from sloguard.core.text import format_series

#: Labels that name a service, the most telling first.
SERVICE_LABELS = ("service", "app", "job", "deployment", "namespace")
RANKS = {"not-judged": 0, "met": 1, "inconclusive": 2, "deviated": 3}
#: Longer names and reasons are evidence for nobody.
_LONGEST = 600


class RunRow(NamedTuple):
    """One run."""

    run: str
    experiment: str
    title: str
    kind: str
    started_at: float
    outcome: str
    reason: str
    score: float | None
    teams: tuple[str, ...]
    impact: float | None
    looked: bool
    readable: bool


class SloRow(NamedTuple):
    """All series of one SLO that belong to one service, in one run: the worst of them.

    ``recovered``: the longest recovery, None where nothing had to recover; ``lost``: one did not recover.
    ``burned``: the share of the error budget that the worst series lost. ``series``: how many there are.
    """

    run: str
    slo: str
    service: str
    verdict: str
    reason: str
    series: int
    impact: float | None
    recovered: float | None
    lost: bool
    burned: float | None
    at_least: bool


class FaultRow(NamedTuple):
    """One injection. ``hit``: what suffers besides the target; ``tagged``: services that the run names by tags."""

    run: str
    fault: str
    target: str
    status: str
    detail: str
    by_hand: str
    hit: tuple[str, ...]
    tagged: tuple[str, ...]


class AlertRow(NamedTuple):
    """An alert that the fault set off, or an expectation (``verdict``)."""

    run: str
    name: str
    service: str
    seconds: float | None
    resolve_seconds: float | None
    verdict: str
    reason: str


class CoverageRow(NamedTuple):
    """What alert coverage says: ``kind`` is blind, noise or covered."""

    run: str
    kind: str
    slo: str
    alert: str
    service: str
    reason: str
    rule: str
    seconds: float | None


class BudgetRow(NamedTuple):
    """The error budget of one SLO of a service around one run: shares of the whole."""

    run: str
    slo: str
    service: str
    left_before: float | None
    spent: float | None
    left_after: float | None


@dataclass(slots=True)
class Rows:
    """Everything of all runs, table by table."""

    runs: list[RunRow] = field(default_factory=list)
    slos: list[SloRow] = field(default_factory=list)
    faults: list[FaultRow] = field(default_factory=list)
    alerts: list[AlertRow] = field(default_factory=list)
    coverage: list[CoverageRow] = field(default_factory=list)
    budgets: list[BudgetRow] = field(default_factory=list)

    @classmethod
    def of(cls, sources: Iterable[RunSource]) -> Rows:
        """All rows; ``sources`` are read one after the other, and let go."""
        made = cls()
        for source in sources:
            made.add(source)
        return made

    def add(self, source: RunSource) -> None:
        """One more run."""
        try:
            document = _read(source.document) if source.document else _Document()
        except msgspec.MsgspecError:
            document = None
        seen = document or _Document()
        teams = tuple(sorted(_tagged(source.tags, "team")))
        self.runs.append(
            RunRow(
                source.run,
                source.name,
                source.title or source.name,
                source.kind,
                source.started_at,
                source.outcome,
                source.reason[:_LONGEST],
                source.score,
                teams,
                number(seen.time_to_impact_seconds),
                isinstance(seen.alert_coverage, Mapping) and not seen.alert_coverage.get("unknown"),
                document is not None,
            )
        )
        services = tuple(_tagged(source.tags, "service"))
        fallback = next(iter(services), "")
        for slo in seen.slos or ():
            self.slos.extend(_slo_rows(source.run, slo, fallback))
        self.faults.extend(_faults(source.run, seen.faults or (), services))
        self.alerts.extend(_alerts(source.run, seen.alerts or (), fallback))
        self.coverage.extend(_coverage(source.run, seen, fallback))
        self.budgets.extend(_budgets(source.run, seen.budget, fallback))


class _Series(msgspec.Struct):
    labels: dict[str, Any] = {}
    verdict: str = "not-judged"
    reason: str = ""
    budget_burned: Any = None
    budget_burned_is_lower_bound: bool = False
    phases: dict[str, dict[str, Any]] = {}


class _Slo(msgspec.Struct):
    name: str = ""
    verdict: str = "not-judged"
    reason: str = ""
    series: list[_Series] | None = None


class _Document(msgspec.Struct):
    """All that is read of a document here."""

    time_to_impact_seconds: Any = None
    slos: list[_Slo] | None = None
    faults: list[dict[str, Any]] | None = None
    alerts: list[dict[str, Any]] | None = None
    alert_coverage: Any = None
    budget: Any = None


_read = msgspec.json.Decoder(_Document).decode


def number(value: Any) -> float | None:
    """A finite number of a document; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def text(value: Any) -> str:
    """A text of a document, not longer than anybody reads."""
    return str(value if value is not None else "")[:_LONGEST]


def service_of(labels: Mapping[str, Any], otherwise: str = "") -> str:
    """The service that labels name; ``otherwise`` where they name none."""
    for label in SERVICE_LABELS:
        if labels.get(label):
            return text(labels[label])
    return otherwise


def _tagged(tags: Sequence[str], name: str) -> dict[str, None]:
    """Values of ``name:value`` tags, in their order."""
    found = (tag.partition(":") for tag in tags)
    return {value.strip(): None for key, _, value in found if key.strip() == name and value.strip()}


def _slo_rows(run: str, slo: _Slo, fallback: str) -> Iterable[SloRow]:
    by_service: dict[str, list[_Series]] = {}
    for series in slo.series or ():
        by_service.setdefault(service_of(series.labels, fallback), []).append(series)
    if not by_service:
        yield SloRow(
            run, text(slo.name), fallback, slo.verdict, text(slo.reason), 0, None, None, False, None, False
        )  # fmt: skip
    for service, mine in by_service.items():
        yield _slo_row(run, slo, service, mine)


def _slo_row(run: str, slo: _Slo, service: str, series: Sequence[_Series]) -> SloRow:
    worst = max(series, key=lambda one: RANKS.get(one.verdict, 0))
    impacts = [number(_phase(s, "during").get("first_breach_seconds")) for s in series]
    spans = [number(_phase(s, "after").get("recovered_seconds")) for s in series]
    burned = [(b, s) for s in series if (b := number(s.budget_burned)) is not None]
    most = max(burned, key=lambda pair: pair[0], default=None)
    return SloRow(
        run,
        text(slo.name),
        service,
        worst.verdict,
        text(worst.reason),
        len(series),
        min((i for i in impacts if i is not None), default=None),
        # A recovery of 0 is none: nothing was in breach.
        max((s for s in spans if s), default=None),
        any(_lost(s) for s in series),
        None if most is None else most[0],
        most is not None and most[1].budget_burned_is_lower_bound,
    )


def _phase(series: _Series, name: str) -> Mapping[str, Any]:
    return series.phases.get(name) or {}


def _lost(series: _Series) -> bool:
    after = _phase(series, "after")
    return after.get("verdict") == "deviated" and after.get("recovered_seconds") is None


_PREFIX = re.compile(r"^sloguard\.faults\.")


def _faults(
    run: str, faults: Iterable[Mapping[str, Any]], tagged: tuple[str, ...]
) -> Iterable[FaultRow]:
    for fault in faults:
        yield FaultRow(
            run,
            _PREFIX.sub("", text(fault.get("fault"))),
            text(fault.get("target")),
            text(fault.get("status")),
            text(fault.get("detail")),
            text(fault.get("by_hand")),
            tuple(map(text, fault.get("hit") or ())),
            tagged,
        )


def _alerts(run: str, alerts: Iterable[Mapping[str, Any]], fallback: str) -> Iterable[AlertRow]:
    for alert in alerts:
        labels = _labels(alert.get("labels") or alert.get("matchers"))
        name, service = text(alert.get("name")), service_of(labels, fallback)
        if "verdict" in alert:
            shown = text(alert.get("reason"))
            yield AlertRow(run, name, service, None, None, text(alert["verdict"]), shown)
        elif not alert.get("firing_before") and alert.get("counts", True):
            seconds = number(alert.get("time_to_alert_seconds"))
            resolve = number(alert.get("time_to_resolve_seconds"))
            yield AlertRow(run, name, service, seconds, resolve, "", "")


def _coverage(run: str, seen: _Document, fallback: str) -> Iterable[CoverageRow]:
    found = seen.alert_coverage
    if not isinstance(found, Mapping):
        return
    for spot in _items(found, "blind_spots"):
        labels = _labels(spot.get("series") or spot.get("labels"))
        yield CoverageRow(
            run, "blind", text(spot.get("slo")), "", service_of(labels, fallback),
            text(spot.get("reason")), str(spot.get("proposed_rule") or ""), None,
        )  # fmt: skip
    for noise in _items(found, "noise"):
        labels = _labels(noise.get("labels"))
        alert = text(noise.get("alert"))
        rest = {k: v for k, v in labels.items() if k != "alertname"}
        shown = format_series(alert, tuple((str(k), str(v)) for k, v in rest.items()))
        yield CoverageRow(
            run, "noise", "", alert, service_of(labels, fallback), text(shown), "", None
        )
    for pair in _items(found, "covered"):
        seconds = number(pair.get("seconds"))
        slo, alert = text(pair.get("slo")), text(pair.get("alert"))
        yield CoverageRow(run, "covered", slo, alert, fallback, "", "", seconds)


def _budgets(run: str, budgets: Any, fallback: str) -> Iterable[BudgetRow]:
    for one in budgets if isinstance(budgets, list) else ():
        if not isinstance(one, Mapping):
            continue
        for row in _items(one, "series") or [one]:
            values = (number(row.get(k)) for k in ("left_before", "spent_by_run", "left_after"))
            before, spent, after = values
            service = service_of(_labels(row.get("labels")), fallback)
            yield BudgetRow(run, text(one.get("slo")), service, before, spent, after)


_PAIR = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')


def _labels(value: Any) -> Mapping[str, Any]:
    """Labels as an object, or of a series as it is written: ``error-ratio{service="checkout"}``."""
    if isinstance(value, str):
        return dict(_PAIR.findall(value))
    return value if isinstance(value, Mapping) else {}


def _items(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = found.get(name)
    return [i for i in items if isinstance(i, Mapping)] if isinstance(items, list) else []
