"""OpenSLO objects into service levels: indicators and their queries, periods, objectives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sloguard.core.service_levels import Budgeting, Indicator, ServiceLevel
from sloguard.documents.problems import did_you_mean
from sloguard.documents.tree import Node
from sloguard.promql.errors import PromqlError
from sloguard.promql.inspection import inspect
from sloguard.promql.windowed import over
from sloguard.spec.openslo_shapes import OPERATORS, PlainReader

#: The period of an SLO that names none.
_USUAL_PERIOD = 30 * 86400.0


@dataclass(slots=True)
class Object:
    """One document that could be read. ``spec``: its values by key."""

    kind: str
    name: str
    node: Node
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    reader: PlainReader


class Indicators:
    """Makes indicators and says what is wrong with their queries."""

    def __init__(self, reader: PlainReader, sources: Mapping[str, Object]) -> None:
        self.reader = reader
        self.sources = sources

    def read(self, node: Node | None, spec: Mapping[str, Any], path: str) -> Indicator | None:
        assert node is not None  # noqa: S101 - its table has read it
        ratio, threshold = spec.get("ratioMetric"), spec.get("thresholdMetric")
        if (ratio is None) == (threshold is None):
            message = "both are there" if ratio else "there is no metric"
            self.reader.problem(node, path, message, "'ratioMetric' or 'thresholdMetric'")
            return None
        role = "ratioMetric" if threshold is None else "thresholdMetric"
        child = node.get(role)
        assert child is not None  # noqa: S101 - as above
        if threshold is not None:
            return Indicator(
                threshold=self._query(child, threshold, f"{path}.{role}", counter=False)
            )
        return self._ratio(child, ratio or {}, f"{path}.{role}")

    def _ratio(self, node: Node, ratio: Mapping[str, Any], path: str) -> Indicator | None:
        given = [key for key in ("good", "bad", "total", "raw") if key in ratio]
        allowed = (["good", "total"], ["bad", "total"], ["raw"])
        if given not in allowed:
            what = " and ".join(given) or "nothing"
            self.reader.problem(
                node,
                path,
                f"found {what}",
                "'good' and 'total', 'bad' and 'total', or 'raw' and 'rawType'",
            )
            return None
        if ("raw" in ratio) != ("rawType" in ratio):
            message = (
                "'rawType' is missing" if "raw" in ratio else "'rawType' goes with 'raw' alone"
            )
            self.reader.problem(node, path, message, "rawType: success or failure, beside 'raw'")
            return None
        counter = bool(ratio.get("counter")) and "raw" not in ratio
        queries = {}
        for key in given:
            child = node.get(key)
            assert child is not None  # noqa: S101 - as above
            queries[key] = self._query(child, ratio[key], f"{path}.{key}", counter=counter)
        self._aggregated(node, queries, path, counter=counter)
        failure = ratio.get("rawType") != "success"
        return Indicator(**queries, counter=counter, raw_is_failure=failure)

    def _aggregated(
        self, node: Node, queries: Mapping[str, str], path: str, *, counter: bool
    ) -> None:
        """Series that keep the label by which good and bad differ are each all good or all bad."""
        try:
            read = [inspect(over(query, "5m", counter=counter)) for query in queries.values()]
        except PromqlError:
            return  # said where the query stands
        whole = all(one.grouping.kind == "without" and not one.grouping.labels for one in read)
        picked = [{m for s in one.selections for m in s.matchers} for one in read]
        if (
            len(read) < 2
            or not whole
            or read[0].metrics != read[1].metrics
            or picked[0] == picked[1]
        ):
            return
        names = ", ".join(sorted({name for name, _, _ in picked[0] ^ picked[1]}))
        message = f"the series keep the label {names}, by which good and bad differ: each is all good or all bad"
        self.reader.warn(node, path, message, hint="aggregate both, such as sum(…)")

    def _query(self, node: Node, metric: Mapping[str, Any], path: str, *, counter: bool) -> str:
        """A metric's query, its source and its PromQL checked."""
        source = metric["metricSource"]
        query = str(source["spec"]["query"])
        at = node.get("metricSource") or node
        place = f"{path}.metricSource"
        self._source(at, source, place)
        within = at.get("spec")
        text = within.get("query") if within is not None else None
        try:
            kind = inspect(over(query, "5m", counter=counter)).type
        except PromqlError as error:
            self.reader.problem(text or at, f"{place}.spec.query", f"not PromQL: {error}")
            return query
        if kind not in ("vector", "scalar"):
            message = f"the query answers a {kind}"
            self.reader.problem(
                text or at, f"{place}.spec.query", message, "one value for each series"
            )
        return query

    def _source(self, node: Node, source: Mapping[str, Any], path: str) -> None:
        kind, where = source.get("type"), node.get("type") or node
        reference = source.get("metricSourceRef")
        if reference is not None and reference in self.sources:
            other = self.sources[reference].spec["type"]
            if kind is None:
                kind, where = other, node.get("metricSourceRef") or node
        if kind is not None and kind.lower() != "prometheus":
            self.reader.problem(
                where, path, f"the source is {kind}", "Prometheus, or what speaks its API"
            )


class SloLevels:
    """One SLO into its levels, one for each objective."""

    def __init__(
        self,
        found: Object,
        sources: Mapping[str, Object],
        slis: Mapping[str, Object],
        indicators: Mapping[str, Indicator | None],
        names: Mapping[str, str],
    ) -> None:
        self.found, self.spec, self.reader = found, found.spec, found.reader
        self.sources, self.slis, self.indicators = sources, slis, indicators
        self.node = found.node.get("spec") or found.node
        self.names = names

    def levels(self) -> list[ServiceLevel]:
        mark = self.reader.mark
        indicator = self._indicator()
        period = self._period()
        objectives = self.spec["objectives"]
        if not objectives:
            self.reader.problem(
                self.node.place("objectives"),
                "spec.objectives",
                "there is no objective",
                "at least one",
            )
        if indicator is not None and indicator.threshold is not None and len(objectives) > 1:
            message = f"found {len(objectives)} objectives"
            self.reader.problem(
                self.node.place("objectives"),
                "spec.objectives",
                message,
                "one, for a thresholdMetric",
            )
        made = [self._level(i, one, indicator, period) for i, one in enumerate(objectives)]
        return [level for level in made if level is not None] if self.reader.mark == mark else []

    def _indicator(self) -> Indicator | None:
        inline, reference = self.spec.get("indicator"), self.spec.get("indicatorRef")
        if (inline is None) == (reference is None):
            message = "both are there" if inline else "there is no indicator"
            self.reader.problem(self.node, "spec", message, "'indicator' or 'indicatorRef'")
            return None
        if inline is not None:
            node = self.node.get("indicator")
            within = node.get("spec") if node is not None else None
            return Indicators(self.reader, self.sources).read(
                within, inline["spec"], "spec.indicator.spec"
            )
        if reference not in self.indicators:
            names = list(self.slis)
            expected = "the name of an SLI in the same files" + (
                f": {', '.join(names)}" if names else ""
            )
            message = f"no SLI is named '{reference}'"
            hint = did_you_mean(str(reference), names)
            self.reader.problem(
                self.node.get("indicatorRef") or self.node,
                "spec.indicatorRef",
                message,
                expected,
                hint,
            )
            return None
        return self.indicators[str(reference)]

    def _period(self) -> float:
        windows = self.spec.get("timeWindow")
        if not windows:
            message = "there is no timeWindow: a rolling one of 30 days is taken"
            self.reader.warn(
                self.node, "spec", message, hint="timeWindow: [{duration: 30d, isRolling: true}]"
            )
            return _USUAL_PERIOD
        at = self.node.get("timeWindow") or self.node
        if len(windows) > 1:
            self.reader.problem(
                at, "spec.timeWindow", f"found {len(windows)} time windows", "exactly one"
            )
        elif windows[0].get("isRolling") is False:
            hint = "isRolling: true"
            message = "OpenSLO allows this, sloguard does not: periods that do not roll"
            self.reader.problem(at, "spec.timeWindow[0].isRolling", message, hint=hint)
        return float(windows[0]["duration"])

    def _level(
        self, index: int, objective: Mapping[str, Any], indicator: Indicator | None, period: float
    ) -> ServiceLevel | None:
        objectives = self.node.get("objectives")
        node = objectives.value[index] if objectives is not None else self.node
        path = f"spec.objectives[{index}]"
        given = [objective[key] for key in ("target", "targetPercent") if key in objective]
        if len(given) != 1:
            message = "both are there" if given else "there is no target"
            self.reader.problem(node, path, message, "'target' or 'targetPercent'")
        method = Budgeting(self.spec["budgetingMethod"])
        self._slices(method, objective, node, path)
        if indicator is None or len(given) != 1:
            return None
        self._bound(indicator, objective, node, path)
        metadata = self.found.metadata
        display = objective.get("displayName") or ""
        several = len(self.spec["objectives"]) > 1
        return ServiceLevel(
            name=f"{self.found.name}-{_slug(display) or index + 1}" if several else self.found.name,
            slo=self.found.name,
            indicator=indicator,
            target=given[0],
            period=period,
            service=self.spec.get("service") or "",
            budgeting=method,
            display_name=" / ".join(
                t for t in (metadata.get("displayName"), display if several else "") if t
            ),
            description=self.spec.get("description") or "",
            op=OPERATORS.get(objective.get("op") or "", ""),
            value=float(objective.get("value") or 0.0),
            slice_target=objective.get("timeSliceTarget", 1.0),
            slice_window=None
            if method is Budgeting.OCCURRENCES
            else objective.get("timeSliceWindow"),
            labels=dict(metadata.get("labels") or {}),
            annotations=dict(metadata.get("annotations") or {}),
            source=self.names.get(self.reader.file, self.reader.file),
        )

    def _slices(
        self, method: Budgeting, objective: Mapping[str, Any], node: Node, path: str
    ) -> None:
        """Which of the two keys of slices are needed, and which say nothing."""
        needed = {
            Budgeting.OCCURRENCES: (),
            Budgeting.TIMESLICES: ("timeSliceTarget", "timeSliceWindow"),
            Budgeting.RATIO_TIMESLICES: ("timeSliceWindow",),
        }[method]
        for key in ("timeSliceTarget", "timeSliceWindow"):
            if key in needed and key not in objective:
                self.reader.problem(
                    node, path, f"'{key}' is missing", f"it, for budgetingMethod: {method}"
                )
            elif key in objective and key not in needed:
                self.reader.warn(
                    node.place(key), path, f"'{key}' has no effect with budgetingMethod: {method}"
                )

    def _bound(
        self, indicator: Indicator, objective: Mapping[str, Any], node: Node, path: str
    ) -> None:
        for key in ("op", "value"):
            if indicator.threshold is not None and key not in objective:
                self.reader.problem(node, path, f"'{key}' is missing", "it, for a thresholdMetric")
            elif indicator.threshold is None and key in objective:
                self.reader.warn(node.place(key), path, f"'{key}' has no effect with a ratioMetric")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")
