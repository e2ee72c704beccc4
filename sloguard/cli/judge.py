"""``sloguard judge``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import (
    config_option,
    fail,
    format_option,
    given_variables,
    load_experiment,
    output_option,
    prometheus_option,
    settings_from,
    show_verdict,
    step_option,
    step_seconds,
    store_option,
    the_store,
    variable_options,
)
from sloguard.cli.moments import moment

if TYPE_CHECKING:
    from sloguard.core.model import Experiment, Timeline
    from sloguard.core.results import SloResult
    from sloguard.core.series import Surroundings
    from sloguard.settings import Settings


@click.command("judge")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--start",
    metavar="TIME",
    help="Where 'before' begins (default: as long before the fault as the file's phases say).",
)
@click.option("--fault", metavar="TIME", help="When the fault began.")
@click.option("--restored", metavar="TIME", help="When it was undone.")
@click.option(
    "--end",
    metavar="TIME",
    help="Where 'after' ends (default: as long after it as the file's phases say).",
)
@click.option(
    "--removed",
    multiple=True,
    metavar="LABEL=NAME",
    help="An object that the fault removed, such as pod=web-1.",
)
@click.option(
    "--run", "run_", metavar="RUN", help="Judge the stored evidence of a run in place of a window."
)
@click.option(
    "--slos",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --run: other objectives for the same evidence.",
)
@click.option(
    "--charts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a chart of every SLO into a directory.",
)
@step_option
@prometheus_option
@store_option
@config_option
@variable_options
@format_option
@output_option
def command(file: Path | None, run_: str | None, slos: Path | None, **flags: Any) -> None:  # fmt: skip
    """Judge any window after the fact: a game day, another tool's fault, a real incident.

    FILE is an experiment, or just `slos: [...]`. Nothing is injected; only Prometheus is asked. TIME is
    ISO 8601 with a zone (2026-01-01T12:00:00Z), seconds since the epoch, or -10m (before now).

    \b
      sloguard judge slos.yaml --prometheus URL --fault 2026-01-01T12:00:00Z --restored 2026-01-01T12:01:00Z
      sloguard judge --run latest --slos stricter.yaml
    """
    settings = settings_from(flags["config"], prometheus=flags["prometheus"], store=flags["store"])
    if run_ is not None:
        if file is not None:
            fail("give FILE or --run, not both; other objectives for a run come with --slos")
        sys.exit(_judge_run(settings, run_, slos, flags))
    if file is None:
        fail("what is to be judged? Give a FILE with SLOs, or --run RUN")
    if slos is not None:
        fail("--slos goes with --run; here the SLOs are those of FILE")
    sys.exit(_judge_window(settings, file, flags))


def _judge_window(settings: Settings, file: Path, flags: dict[str, Any]) -> int:
    from sloguard.adapters.clock import SystemClock
    from sloguard.bootstrap import kept_alerts, open_metrics, options
    from sloguard.core.document import document
    from sloguard.engine.window import collect, judge_collected, judge_streamed, with_budget
    from sloguard.ports import OutsideError

    variables = given_variables(flags["variables"])
    experiment = load_experiment(
        file,
        variables,
        flags["var_files"],
        slos_alone=True,
        scrape_interval=settings.prometheus.scrape_interval,
    )
    if not experiment.slos:
        fail(f"{file} declares no SLO; a window can be judged by SLOs only")
    timeline = _timeline(experiment, flags)
    try:
        metrics = open_metrics(settings)
        sources = kept_alerts(settings)
    except OutsideError as error:
        fail(str(error))
    chosen = options(settings, step=step_seconds(flags["step"]))
    removed, clock = _removed(flags["removed"]), SystemClock()
    if flags["charts"] is None:
        facts, surroundings = judge_streamed(
            experiment, timeline, metrics, clock, chosen, removed=removed, sources=sources
        )
        return _say(document(facts), facts.slos, timeline, surroundings, flags)
    # Charts are drawn of samples: they are held until all is drawn.
    collected = collect(
        experiment, timeline, metrics, clock, chosen, removed=removed, sources=sources
    )
    facts = judge_collected(experiment, timeline, collected)
    facts = with_budget(facts, experiment, metrics, chosen)
    return _say(document(facts), facts.slos, timeline, collected.surroundings, flags)


def _judge_run(settings: Settings, run: str, slos: Path | None, flags: dict[str, Any]) -> int:
    from sloguard.core.document import document
    from sloguard.core.judge import judge_slo
    from sloguard.core.outcome import RunFacts
    from sloguard.engine.rejudge import alerts_again, judge_kept, limits_again, rejudge
    from sloguard.engine.rejudge import budget_again as again
    from sloguard.ports import OutsideError

    store = the_store(settings)
    try:
        stored = store.run(run)
    except OutsideError as error:
        fail(str(error))
    other = load_experiment(slos, slos_alone=True) if slos else None
    declared = other.phases.after if other else _declared_after(stored.resolved)
    judged: tuple[SloResult, ...] = ()
    try:
        kept = store.each_evidence(run)
        if stored.timeline is None:
            pass
        elif flags["charts"] is None:
            judged = judge_kept(
                kept,
                other,
                stored.timeline,
                stored.surroundings,
                declared,
                limits=limits_again(stored.document, other),
                max_series=settings.runs.max_series,
            )
        else:
            # Charts are drawn of samples: they are held until all is drawn.
            evidence = kept if other is None else rejudge(kept, other.slos)
            judged = tuple(
                judge_slo(e, stored.timeline, stored.surroundings, declared) for e in evidence
            )
    except OutsideError as error:
        fail(str(error))
    if stored.timeline is None or not judged:
        fail(
            f"run {stored.id} has no samples to judge: nothing was injected, or it was interrupted"
        )
    held = alerts_again(stored.document, other, stored.timeline)
    facts = RunFacts(
        experiment=stored.title,
        run=stored.id,
        timeline=stored.timeline,
        slos=judged,
        # With its own objectives it is the same run: a fault that was not injected still counts.
        activities=stored.activities if other is None else (),
        alerts=tuple((stored.document or {}).get("alerts", ())) if held is None else held.entries,
        alert_scope=None if held is None else held.scope,
        budget=again(judged, stored.document, other, stored.timeline),
    )
    return _say(document(facts), judged, stored.timeline, stored.surroundings, flags)


def _declared_after(resolved: Any) -> float:
    """The length of ``after`` as a stored experiment declares it, seconds."""
    from sloguard.core.model import Phases
    from sloguard.core.objective import parse_duration

    phases = resolved.get("phases") or {}
    return parse_duration(phases["after"]) if "after" in phases else Phases().after


def _say(
    document: dict[str, Any],
    slos: tuple[SloResult, ...],
    timeline: Timeline,
    surroundings: Surroundings,
    flags: dict[str, Any],
) -> int:
    """Draw if asked to, print, and give the exit code."""
    if flags["charts"] is not None:
        from sloguard.cli.pictures import write_charts

        title = document["experiment"]
        write_charts(flags["charts"], slos, timeline, title=title, surroundings=surroundings)
    show_verdict(document, flags["format_"], flags["output"])
    code: int = document["exit_code"]
    return code


def _timeline(experiment: Experiment, flags: dict[str, Any]) -> Timeline:
    """The marks; those not given follow from the declared phases."""
    from sloguard.core.model import Timeline

    marks = {
        name: moment(flags[name], f"--{name}") for name in ("start", "fault", "restored", "end")
    }
    fault = marks["fault"]
    if fault is None:
        fail("--fault TIME is needed: when did the fault begin?")
    phases = experiment.phases
    start = marks["start"] if marks["start"] is not None else fault - phases.before
    restored = marks["restored"] if marks["restored"] is not None else fault + phases.during
    end = marks["end"] if marks["end"] is not None else restored + phases.after
    try:
        return Timeline(start, fault, restored, end)
    except ValueError:
        fail(
            "the marks are not in order: --start, --fault, --restored and --end must follow each other"
        )


def _removed(pairs: tuple[str, ...]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pair in pairs:
        label, equals, name = pair.partition("=")
        if not equals or not label or not name:
            fail(f"--removed: expected LABEL=NAME such as pod=web-1, found '{pair}'")
        found.setdefault(label, set()).add(name)
    return {label: frozenset(names) for label, names in found.items()}
