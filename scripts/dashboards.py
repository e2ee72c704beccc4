"""Builds Grafana's dashboards with Grafana's own types, or (``--check``) fails where the files are stale.

Every query takes its data source from a variable, and every number is the same from each replica of the
service, so it is max that brings them together and not sum.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as shape
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "grafana" / "dashboards"
PROMETHEUS = shape.DataSourceRef(type_val="prometheus", uid="${datasource}")
GRAFANA = shape.DataSourceRef(type_val="grafana", uid="-- Grafana --")
GREEN, RED, ORANGE, GREY = "green", "red", "orange", "text"
OUTCOMES: Mapping[str, str] = {
    "met": GREEN,
    "deviated": RED,
    "inconclusive": ORANGE,
    "not-started": GREY,
    "aborted": ORANGE,
    "not-restored": "dark-red",
}
#: As numbers, for a picture over time; the queries below make them.
STATES = ("met", "deviated", "something else")
Panel = Any


class Grid:
    """Places panels from left to right, row under row; numbers them."""

    WIDTH = 24

    def __init__(self) -> None:
        self.panels: list[Panel] = []
        self._x = self._y = self._height = 0

    def add(self, panel: Panel, width: int, height: int) -> None:
        """The next panel."""
        if self._x + width > self.WIDTH:
            self._down()
        at = shape.GridPos(x=self._x, y=self._y, w=width, h=height)
        self.panels.append(panel.id(len(self.panels) + 1).grid_pos(at))
        self._x, self._height = self._x + width, max(self._height, height)

    def row(self, title: str) -> None:
        """A heading over what follows."""
        self._down()
        row = build.Row(title).id(len(self.panels) + 1)
        self.panels.append(row.grid_pos(shape.GridPos(x=0, y=self._y, w=self.WIDTH, h=1)))
        self._y += 1

    def _down(self) -> None:
        self._y, self._x, self._height = self._y + self._height, 0, 0


def query(
    expr: str, legend: str = "", *, ref: str = "A", instant: bool = False, rows: bool = False
) -> prometheus.Dataquery:
    """A query; ``instant``: of the end of the range alone; ``rows``: for a table."""
    made = prometheus.Dataquery().expr(expr).ref_id(ref).datasource(PROMETHEUS)
    made = made.instant() if instant else made.range()
    if legend:
        made = made.legend_format(legend)
    return made.format(PromQueryFormat.TABLE) if rows else made


def number(
    title: str,
    expr: str,
    *,
    about: str,
    unit: str = "short",
    bad_from: float | None = None,
    legend: str = "",
    decimals: int | None = None,
) -> stat.Panel:
    """One number, red from ``bad_from`` on."""
    steps = [shape.Threshold(value=None, color=GREEN if bad_from is not None else GREY)]
    if bad_from is not None:
        steps.append(shape.Threshold(value=bad_from, color=RED))
    made = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .thresholds(build.ThresholdsConfig().mode(shape.ThresholdsMode.ABSOLUTE).steps(steps))
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("–")
        .with_target(query(expr, legend, instant=True))
    )
    return made if decimals is None else made.decimals(decimals)


def named(title: str, expr: str, *, about: str, legend: str) -> stat.Panel:
    """The name of what is 1, such as an outcome, in its colour."""
    made = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .text_mode(BigValueTextMode.NAME)
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("–")
        .with_target(query(expr, legend, instant=True))
    )
    for name, colour in OUTCOMES.items():
        made = made.override_by_name(name, [_colour(colour)])
    return made


def lines(
    title: str,
    queries: Sequence[prometheus.Dataquery],
    *,
    about: str,
    unit: str = "short",
    stacked: bool = False,
    bars: bool = False,
    most: float | None = None,
    least: float | None = 0.0,
) -> timeseries.Panel:
    """Curves over time; chaos windows are drawn over them."""
    made = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(VisibilityMode.NEVER)
        .draw_style(GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE)
        .tooltip(
            common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if stacked:
        made = made.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if least is not None:
        made = made.min(least)
    if most is not None:
        made = made.max(most)
    for one in queries:
        made = made.with_target(one)
    return made


def rows(
    title: str,
    queries: Sequence[prometheus.Dataquery],
    *,
    about: str,
    names: Mapping[str, str],
    hidden: Sequence[str],
    fields: Mapping[str, Sequence[shape.DynamicConfigValue]],
    joined: str,
) -> table.Panel:
    """A table: queries joined by a label, columns renamed, the rest hidden."""
    made = (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .with_transformation(_transformation("joinByField", byField=joined, mode="outer"))
        .with_transformation(
            _transformation(
                "organize",
                excludeByName=dict.fromkeys(hidden, True),
                renameByName=dict(names),
                indexByName={},
            )
        )
    )
    for one in queries:
        made = made.with_target(one)
    for name, properties in fields.items():
        made = made.override_by_name(name, list(properties))
    return made


def _transformation(name: str, **options: Any) -> shape.DataTransformerConfig:
    return shape.DataTransformerConfig(id_val=name, options=options)


def _colour(colour: str) -> shape.DynamicConfigValue:
    return shape.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _unit(unit: str) -> shape.DynamicConfigValue:
    return shape.DynamicConfigValue("unit", unit)


def _outcome_cell() -> list[shape.DynamicConfigValue]:
    mapped = {
        name: {"color": colour, "index": n} for n, (name, colour) in enumerate(OUTCOMES.items())
    }
    return [
        shape.DynamicConfigValue("mappings", [{"type": "value", "options": mapped}]),
        shape.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
    ]


def _link(title: str, url: str) -> list[shape.DynamicConfigValue]:
    return [shape.DynamicConfigValue("links", [{"title": title, "url": url}])]


# What the dashboards share.


def dashboard(title: str, uid: str, about: str, since: str) -> build.Dashboard:
    """An empty one, with its data source as a variable, chaos windows drawn in, and links to the others."""
    others = (
        build.DashboardLink("sloguard")
        .type(shape.DashboardLinkType.DASHBOARDS)
        .tags(["sloguard"])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    return (
        build.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["sloguard"])
        .timezone("browser")
        .time(since, "now")
        .refresh("30s")
        .tooltip(shape.DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(others)
        .with_variable(
            build.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
    )


def variable(
    name: str, label: str, expr: str, *, many: bool = False, newest_first: bool = False
) -> build.QueryVariable:
    """Values of a label. ``many``: several, or all."""
    order = (
        shape.VariableSort.ALPHABETICAL_DESC
        if newest_first
        else shape.VariableSort.ALPHABETICAL_ASC
    )
    made = (
        build.QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query({"query": expr, "refId": name})
        .refresh(shape.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(order)
    )
    if not many:
        return made
    # Everything, also what has no such label.
    every = shape.VariableOption(text="All", value="$__all", selected=True)
    return made.multi(True).include_all(True).all_value(".*").current(every)


def windows(name: str, colour: str, *tags: str) -> build.AnnotationQuery:
    """Annotations with all of these tags."""
    target = build.AnnotationTarget().limit(200).match_any(False).tags(list(tags)).type("tags")
    made = build.AnnotationQuery().name(name).datasource(GRAFANA).enable(True).hide(False)
    return made.icon_color(colour).target(target)


def alerts(expr: str) -> build.AnnotationQuery:
    """Alerts that fire, as Prometheus has them."""
    made = build.AnnotationQuery().name("Alerts").datasource(PROMETHEUS).enable(True).hide(False)
    return made.icon_color(RED).expr(expr)


def built(made: build.Dashboard, grid: Grid) -> str:
    """The file's text."""
    for panel in grid.panels:
        made = made.with_row(panel) if isinstance(panel, build.Row) else made.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(made.build()) + "\n"


# The dashboards.

CHOSEN = 'experiment=~"$experiment"'


def overview() -> str:
    """How all experiments stand, and how sloguard itself does."""
    made = dashboard(
        "SLO chaos overview",
        "sloguard-overview",
        "Which experiments hold, which found a weakness, what it cost, and whether sloguard itself is well.",
        "now-7d",
    )
    made = made.with_variable(
        variable("experiment", "Experiment", "label_values(sloguard_runs, experiment)", many=True)
    ).annotation(windows("Chaos windows", ORANGE, "sloguard", "phase:during"))
    grid = Grid()
    _numbers(grid)
    grid.row("Experiments")
    _experiments(grid)
    grid.row("sloguard itself")
    _itself(grid)
    return built(made, grid)


def _numbers(grid: Grid) -> None:
    def of(outcome: str) -> str:
        last = f'max by (experiment) (sloguard_last_run_outcome{{outcome="{outcome}", {CHOSEN}}})'
        return f"sum({last}) or vector(0)"

    grid.add(number("Hold", of("met"), about="Experiments whose newest run met its SLOs."), 4, 4)
    found = "Experiments whose newest run found a weakness."
    grid.add(number("Deviate", of("deviated"), about=found, bad_from=1.0), 4, 4)
    left = "Injections of ended runs that are not undone. 'sloguard recover' undoes them."
    grid.add(number("Faults left", "max(sloguard_faults_left)", about=left, bad_from=1.0), 4, 4)
    open_ = "How long ago the oldest run began that has not ended."
    expr = "max(sloguard_open_run_age_seconds)"
    grid.add(number("Oldest open run", expr, about=open_, unit="s", bad_from=7200.0), 4, 4)
    expr = "max(sloguard_outbox_age_seconds) or vector(0)"
    waits = "How long the oldest message to Grafana or to people has waited."
    grid.add(number("Messages wait", expr, about=waits, unit="s", bad_from=900.0), 4, 4)
    expr = 'max(sloguard_jobs{state="queued"})'
    grid.add(number("Runs that wait", expr, about="Jobs in the queue."), 4, 4)


def _experiments(grid: Grid) -> None:
    last = "max by (experiment) (sloguard_last_run_outcome{{outcome{}, " + CHOSEN + "}})"
    coded = " or ".join(
        f"{last.format(match)} * {code}"
        for code, match in enumerate(('="met"', '="deviated"', '!~"met|deviated"'), 1)
    )
    mapped = {
        str(code): shape.ValueMappingResult(text=text, color=colour, index=code)
        for code, (text, colour) in enumerate(zip(STATES, (GREEN, RED, ORANGE), strict=True), 1)
    }
    states = (
        statetimeline.Panel()
        .title("Newest outcome over time")
        .description("Of every experiment, as its newest run ended.")
        .datasource(PROMETHEUS)
        .mappings([shape.ValueMap(options=mapped)])
        .show_value(VisibilityMode.NEVER)
        .with_target(query(coded, "{{experiment}}"))
    )
    grid.add(states, 14, 9)
    ended = f'sloguard_last_run_timestamp_seconds{{outcome="met", {CHOSEN}}}'
    success = rows(
        "Experiments",
        [
            query(
                f"max by (experiment, outcome) (sloguard_last_run_outcome{{{CHOSEN}}})",
                ref="A",
                instant=True,
                rows=True,
            ),
            query(f"time() - max by (experiment) ({ended})", ref="B", instant=True, rows=True),
        ],
        about="How the newest run ended, and how long ago one met its SLOs.",
        names={"experiment": "Experiment", "outcome": "Newest", "Value #B": "Last success"},
        hidden=["Time", "Time 1", "Time 2", "Value #A"],
        fields={
            "Newest": _outcome_cell(),
            "Last success": [_unit("dtdurations")],
            "Experiment": _link("Its runs", "/d/sloguard-run?var-experiment=${__value.raw}"),
        },
        joined="experiment",
    )
    grid.add(success, 10, 9)
    kept = f'max by (experiment, kind, outcome) (sloguard_runs{{kind!="rejudge", {CHOSEN}}})'
    grid.add(
        lines(
            "Runs that are kept",
            [query(f"sum by (outcome) ({kept})", "{{outcome}}")],
            about="By outcome; retention makes it smaller.",
            stacked=True,
        ),
        8,
        8,
    )
    grid.add(
        lines(
            "Time to recover",
            [
                query(
                    f"max by (experiment) (sloguard_last_recovery_seconds{{{CHOSEN}}})",
                    "{{experiment}}",
                )
            ],
            about="Longest recovery in an experiment's newest run, where everything recovered.",
            unit="s",
        ),
        8,
        8,
    )
    burned = f"max by (experiment, slo) (sloguard_last_budget_burned_ratio{{{CHOSEN}}})"
    grid.add(
        lines(
            "Error budget burned",
            [query(burned, "{{experiment}}: {{slo}}")],
            about="Largest share of an SLO's error budget that one of its series burned in the newest run.",
            unit="percentunit",
        ),
        8,
        8,
    )
    _newest_runs(grid)


def _newest_runs(grid: Grid) -> None:
    def at(mark: str) -> str:
        marked = f'sloguard_run_timestamp_seconds{{mark="{mark}", {CHOSEN}}}'
        return f"max by (run) ({marked}) * 1000"

    whole = f"max by (run, experiment, outcome) (sloguard_run_outcome{{{CHOSEN}}})"
    recovered = f"max by (run) (sloguard_run_recovery_seconds{{{CHOSEN}}})"
    wanted = {"A": whole, "B": at("started"), "C": at("ended"), "D": recovered}
    there = (
        '/d/sloguard-run?var-experiment=${__data.fields["Experiment"]}&var-run=${__value.raw}'
        '&from=${__data.fields["Began"].numeric}&to=${__data.fields["Ended"].numeric}'
    )
    grid.add(
        rows(
            "Newest runs",
            [query(expr, ref=ref, instant=True, rows=True) for ref, expr in wanted.items()],
            about="The twenty that ended last. A run's name leads to its dashboard, at its time.",
            names={
                "run": "Run",
                "experiment": "Experiment",
                "outcome": "Outcome",
                "Value #B": "Began",
                "Value #C": "Ended",
                "Value #D": "Recovered in",
            },
            hidden=["Time", "Value #A", *(f"Time {n}" for n in range(1, 5))],
            fields={
                "Outcome": _outcome_cell(),
                "Began": [_unit("dateTimeAsIso")],
                "Ended": [_unit("dateTimeAsIso")],
                "Recovered in": [_unit("s")],
                "Run": _link("This run", there),
            },
            joined="run",
        ),
        24,
        9,
    )


def _itself(grid: Grid) -> None:
    expr = 'max by (channel, state) (sloguard_outbox_messages{state=~"waiting|failed"})'
    grid.add(
        lines(
            "Messages that have not arrived",
            [query(expr, "{{channel}}: {{state}}")],
            about="Marks for Grafana and notifications. 'sloguard outbox list' says why.",
        ),
        8,
        8,
    )
    grid.add(
        lines(
            "Jobs",
            [
                query(
                    'max by (state) (sloguard_jobs{state=~"queued|starting|running"})', "{{state}}"
                )
            ],
            about="Runs that wait, begin, and are under way.",
            stacked=True,
        ),
        8,
        8,
    )
    slow = "sum by (le) (rate(sloguard_http_request_duration_seconds_bucket[$__rate_interval]))"
    grid.add(
        lines(
            "Answers of the service",
            [
                query(f"histogram_quantile(0.99, {slow})", "slowest of a hundred", ref="A"),
                query(f"histogram_quantile(0.5, {slow})", "middle", ref="B"),
            ],
            about="How long they take to begin.",
            unit="s",
        ),
        8,
        8,
    )


def one_run() -> str:
    """One run, by a variable, at its time."""
    made = dashboard(
        "One run",
        "sloguard-run",
        "One run: how it ended, what it cost, and the SLOs of its services while it went on.",
        "now-1h",
    )
    made = (
        made.with_variable(
            variable("experiment", "Experiment", "label_values(sloguard_run_outcome, experiment)")
        )
        .with_variable(
            variable(
                "run",
                "Run",
                'label_values(sloguard_run_outcome{experiment="$experiment"}, run)',
                newest_first=True,
            )
        )
        .with_variable(
            variable("service", "Service", "label_values(slo:info, slo_service)", many=True)
        )
        .annotation(windows("This run", ORANGE, "sloguard", "run:$run"))
        .annotation(alerts('ALERTS{alertstate="firing", slo_service=~"$service"}'))
    )
    grid = Grid()
    of_run = '{run="$run"}'
    outcome = f"max by (outcome) (sloguard_run_outcome{of_run})"
    grid.add(named("Outcome", outcome, about="How it ended.", legend="{{outcome}}"), 4, 4)

    def at(mark: str) -> str:
        return f'max(sloguard_run_timestamp_seconds{{run="$run", mark="{mark}"}})'

    began = "When the fault was injected."
    grid.add(number("Fault", f"{at('fault')} * 1000", about=began, unit="dateTimeAsIso"), 6, 4)
    lasted = "From the fault until all was undone."
    grid.add(
        number("Under fault", f"{at('restored')} - {at('fault')}", about=lasted, unit="s"), 4, 4
    )
    recovered = f"max(sloguard_run_recovery_seconds{of_run})"
    grid.add(
        number(
            "Recovered in",
            recovered,
            about="Longest recovery; nothing where something did not recover.",
            unit="s",
        ),
        4,
        4,
    )
    burned = f"max(sloguard_run_budget_burned_ratio{of_run})"
    about = "Largest share of an error budget that one series burned."
    grid.add(number("Budget burned", burned, about=about, unit="percentunit", decimals=2), 6, 4)
    _verdicts(grid)
    grid.row("The services while it went on")
    _services(grid, 'slo_service=~"$service"')
    return built(made, grid)


def _verdicts(grid: Grid) -> None:
    verdicts = 'max by (slo, verdict) (sloguard_run_slo_verdict{run="$run"})'
    burned = 'max by (slo) (sloguard_run_budget_burned_ratio{run="$run"})'
    grid.add(
        rows(
            "SLOs",
            [
                query(verdicts, ref="A", instant=True, rows=True),
                query(burned, ref="B", instant=True, rows=True),
            ],
            about="The verdict of every SLO, and what it burned of its error budget.",
            names={"slo": "SLO", "verdict": "Verdict", "Value #B": "Budget burned"},
            hidden=["Time", "Time 1", "Time 2", "Value #A"],
            fields={"Verdict": _outcome_cell(), "Budget burned": [_unit("percentunit")]},
            joined="slo",
        ),
        24,
        8,
    )


def _services(grid: Grid, chosen: str) -> None:
    grid.add(
        lines(
            "Errors against the budget",
            [
                query(f"max by (slo) (slo:sli_error:ratio_rate5m{{{chosen}}})", "{{slo}}", ref="A"),
                query(
                    f"max by (slo) (slo:error_budget:ratio{{{chosen}}})",
                    "{{slo}}: may fail",
                    ref="B",
                ),
            ],
            about="Share of failed events over five minutes; what may fail.",
            unit="percentunit",
        ),
        12,
        9,
    )
    grid.add(
        lines(
            "Burn rate",
            [query(f"max by (slo) (slo:current_burn_rate:ratio{{{chosen}}})", "{{slo}}")],
            about="How many times faster than its pace the error budget burns; 1 uses it up exactly.",
        ),
        12,
        9,
    )
    grid.add(
        lines(
            "Error budget left",
            [
                query(
                    f"min by (slo) (slo:period_error_budget_remaining:ratio{{{chosen}}})",
                    "{{slo}}",
                )
            ],
            about="Of the whole period; below 0 more has failed than may.",
            unit="percentunit",
            most=1.0,
            least=None,
        ),
        12,
        9,
    )
    firing = f'ALERTS{{alertstate="firing", {chosen}}}'
    grid.add(
        lines(
            "Alerts that fire",
            [query(f"count by (alertname, severity) ({firing})", "{{alertname}} ({{severity}})")],
            about="Whether anybody was told. An SLO that deviates while nothing fires is a blind spot.",
            stacked=True,
            bars=True,
        ),
        12,
        9,
    )


def service() -> str:
    """One service's SLOs with the chaos it went through."""
    made = dashboard(
        "Service under chaos",
        "sloguard-service",
        "The SLOs of a service, with every chaos window drawn over them.",
        "now-24h",
    )
    chosen = 'slo_service="$service", slo=~"$slo"'
    made = (
        made.with_variable(variable("service", "Service", "label_values(slo:info, slo_service)"))
        .with_variable(
            variable("slo", "SLO", 'label_values(slo:info{slo_service="$service"}, slo)', many=True)
        )
        .annotation(windows("Chaos windows", ORANGE, "sloguard", "phase:during"))
        .annotation(windows("Weaknesses", RED, "sloguard", "phase:during", "outcome:deviated"))
        .annotation(alerts(f'ALERTS{{alertstate="firing", {chosen}}}'))
    )
    grid = Grid()
    left = f"min(slo:period_error_budget_remaining:ratio{{{chosen}}})"
    about = "The least of its SLOs, of the whole period."
    grid.add(number("Budget left", left, about=about, unit="percentunit", decimals=1), 6, 4)
    burn = f"max(slo:current_burn_rate:ratio{{{chosen}}})"
    about = "The worst of its SLOs; 1 uses the budget up exactly."
    grid.add(number("Burn rate now", burn, about=about, bad_from=1.0, decimals=2), 6, 4)
    firing = f'count(ALERTS{{alertstate="firing", {chosen}}}) or vector(0)'
    grid.add(number("Alerts that fire now", firing, about="Of its SLOs.", bad_from=1.0), 6, 4)
    found = 'count(max by (experiment, slo) (sloguard_last_slo_verdict{verdict="deviated", slo=~"$slo"}))'
    about = "SLOs of this name that deviated in the newest run of an experiment."
    grid.add(number("Weaknesses", f"{found} or vector(0)", about=about, bad_from=1.0), 6, 4)
    grid.row("Under chaos")
    _services(grid, chosen)
    events = f"sum by (slo) (slo:sli_events:rate5m{{{chosen}}})"
    grid.add(
        lines(
            "Events",
            [query(events, "{{slo}}")],
            about="What the SLOs count, a second: nothing shows where there is no load.",
            unit="reqps",
        ),
        12,
        9,
    )
    grid.add(
        lines(
            "Verdicts of the newest runs",
            [
                query(
                    'sum by (verdict) (max by (experiment, slo, verdict) (sloguard_last_slo_verdict{slo=~"$slo"}))',
                    "{{verdict}}",
                )
            ],
            about="Of SLOs of these names, over all experiments.",
            stacked=True,
        ),
        12,
        9,
    )
    return built(made, grid)


DASHBOARDS: Mapping[str, Callable[[], str]] = {
    "slo-chaos-overview.json": overview,
    "one-run.json": one_run,
    "service-under-chaos.json": service,
}


def main(arguments: Sequence[str]) -> int:
    """Write them, or say which are stale."""
    stale = 0
    for name, make in DASHBOARDS.items():
        file, text = PLACE / name, make()
        json.loads(text)
        old = file.read_text("utf-8") if file.exists() else ""
        if old == text:
            continue
        if "--check" in arguments:
            stale += 1
            shown = difflib.unified_diff(
                old.splitlines(), text.splitlines(), "old", "new", lineterm=""
            )
            print("\n".join([f"{file} is stale: make dashboards", *list(shown)[:40]]))  # noqa: T201 - a script's answer
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        print(f"wrote {file.relative_to(ROOT)}")  # noqa: T201 - a script's answer
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
