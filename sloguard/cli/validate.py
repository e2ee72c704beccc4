"""``sloguard validate``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import (
    USAGE,
    config_option,
    fail,
    given_variables,
    prometheus_option,
    settings_from,
    variable_options,
)

if TYPE_CHECKING:
    from sloguard.adapters.prometheus import Prometheus
    from sloguard.engine.inspecting import Inspected
    from sloguard.engine.options import Options
    from sloguard.settings import Settings
    from sloguard.spec import Loaded


@click.command("validate")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--strict", is_flag=True, help="Warnings are errors too.")
@click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the findings are printed.",
)
@prometheus_option
@config_option
@variable_options
def command(files: tuple[Path, ...], strict: bool, format_: str, prometheus: str | None, config: Path | None, variables: tuple[str, ...], var_files: tuple[Path, ...]) -> None:  # fmt: skip
    """Check experiments before anything is broken.

    Shows all problems of every FILE at once, as file:line:column, and what the SLOs' PromQL can or cannot
    prove. A hypothesis backlog is checked too. With --prometheus each query is sent once: how many series, at what step, with what lookback.
    Ends with 0 if all is well, 2 if something is wrong; warnings alone end with 0, unless --strict.

    \b
      sloguard validate experiments/*.yaml
      sloguard validate experiment.yaml --prometheus http://localhost:9090
    """
    from sloguard.bootstrap import open_metrics, options
    from sloguard.ports import OutsideError

    settings = settings_from(config, prometheus=prometheus)
    given = given_variables(variables)
    try:
        metrics = None if prometheus is None else open_metrics(settings)
    except OutsideError as error:
        fail(str(error))
    chosen = options(settings)
    reports = [_checked(file, given, var_files, metrics, chosen) for file in files]
    if format_ == "json":
        click.echo(json.dumps(reports, indent=2, ensure_ascii=False))
    else:
        for report in reports:
            _print(report)
    bad = [r for r in reports if r["errors"] or (strict and r["warnings"])]
    for report in bad:
        _tell(report, settings)
    sys.exit(USAGE if bad else 0)


def _tell(report: dict[str, Any], settings: Settings) -> None:
    """People who want to know by name; the same problems of the same file once."""
    if not settings.channels:
        return
    import hashlib

    from sloguard.bootstrap import tell_people

    problems = [*report["errors"], *report["warnings"]]
    found = hashlib.sha256("\n".join((report["file"], *problems)).encode()).hexdigest()[:24]
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    tell_people(
        settings,
        "validate-failed",
        about=found,
        headline=f"{report['file']} is wrong: {count}",
        reason="; ".join(problems),
    )


def _checked(
    file: Path,
    variables: dict[str, Any],
    var_files: tuple[Path, ...],
    metrics: Prometheus | None,
    options: Options,
) -> dict[str, Any]:
    """One file's report, as JSON."""
    from sloguard.engine.inspecting import inspected
    from sloguard.ports import OutsideError
    from sloguard.spec import SpecError, read

    report: dict[str, Any] = {
        "file": str(file),
        "errors": [],
        "warnings": [],
        "aliases": [],
        "queries": [],
    }
    try:
        if _is_backlog(file):
            from sloguard.spec.backlog import load_backlog

            load_backlog(file)
            return report
        # Looking runs nothing: what depends on a probe of the configuration is left out, with a warning.
        loaded = read(file, variables=variables, var_files=var_files, slos_alone=True)
    except SpecError as error:
        report["errors"] = [str(problem) for problem in error.problems]
        return report
    report["warnings"] = [str(warning) for warning in loaded.warnings]
    report["warnings"] += _unknown_hypotheses(file, loaded)
    _take_aliases(report, loaded, options)
    try:
        for one in inspected(loaded.experiment, metrics, options):
            _take(report, one, loaded)
    except OutsideError as error:
        report["errors"].append(f"{file}: {error}")
    return report


def _is_backlog(file: Path) -> bool:
    from sloguard.documents.files import read_document
    from sloguard.documents.problems import DocumentError
    from sloguard.spec.backlog import looks_like_backlog

    try:
        return looks_like_backlog(read_document(file, strict=False).root)
    except DocumentError:
        # Reading it as an experiment tells what is wrong.
        return False


def _unknown_hypotheses(file: Path, loaded: Loaded) -> list[str]:
    """Ids that the backlog beside the file has not; where there is none, nobody knows."""
    from sloguard.core.backlog import declared_ids
    from sloguard.documents.problems import did_you_mean
    from sloguard.spec import SpecError
    from sloguard.spec.backlog import backlog_beside, load_backlog

    ids = declared_ids(loaded.experiment.declared)
    beside = backlog_beside(file) if ids else None
    if beside is None:
        return []
    try:
        known = load_backlog(beside).ids
    except SpecError:
        return []
    return [
        str(
            loaded.problem(
                "backlog",
                f"{os.path.relpath(beside)} has no hypothesis '{id}'",
                hint=did_you_mean(id, known),
            )
        )
        for id in ids
        if id not in known
    ]


def _take(report: dict[str, Any], one: Inspected, loaded: Loaded) -> None:
    from sloguard.promql.findings import Severity

    name = one.declared.name
    for finding in one.findings:
        kind = "errors" if finding.severity is Severity.ERROR else "warnings"
        report[kind].append(f"{_place(one, finding.role, loaded)}: {name}: {finding}")
    answered = one.answered
    if answered is None:
        return
    if answered.problem:
        report["errors"].append(f"{_place(one, '', loaded)}: {name}: {answered.problem}")
    main = "total" if "total" in one.declared.queries else "query"
    if answered.series.get(main) == 0:
        text = f"no data: the {main} answers with no series now"
        report["warnings"].append(f"{_place(one, main, loaded)}: {name}: {text}")
    report["queries"].append(
        {
            "name": name,
            "series": dict(answered.series),
            "step_seconds": answered.step,
            "lookback_seconds": answered.lookback,
            "lookback_problem": answered.lookback_problem,
            "notes": list(answered.notes),
        }
    )


def _take_aliases(report: dict[str, Any], loaded: Loaded, options: Options) -> None:
    """Which activities that name a driver run on sloguard's own functions, and which cannot be called."""
    from sloguard.engine.stand_ins import looked_at

    for found in looked_at(loaded.experiment, options.use_drivers):
        line, column = loaded.where(found.place)
        at = f"{loaded.file}:{line}:{column}"
        if found.problem:
            report["errors"].append(f"{at}: {found.activity}: {found.problem}")
        else:
            report["aliases"].append(
                {
                    "at": at,
                    "activity": found.activity,
                    "function": found.function,
                    "runs_as": found.runs_as,
                }
            )


def _place(one: Inspected, role: str, loaded: Loaded) -> str:
    """``file:line:column`` of an SLO or guard, or of one of its queries."""
    experiment = loaded.experiment
    if one.declared in experiment.guards:
        path = f"abort-when[{experiment.guards.index(one.declared)}]"
    else:
        index = experiment.slos.index(one.declared)
        path = f"steady-state-hypothesis.slos[{index}]"
        if loaded.where(path) == loaded.where(""):
            path = f"slos[{index}]"
    line, column = loaded.where(f"{path}.{role}" if role else path)
    return f"{loaded.file}:{line}:{column}"


def _print(report: dict[str, Any]) -> None:
    from sloguard.core.visible import visible

    for text in (*report["errors"], *report["warnings"]):
        click.echo(visible(text))
    for alias in report["aliases"]:
        text = f"{alias['at']}: {alias['activity']}: {alias['function']} runs as {alias['runs_as']}"
        click.echo(visible(text))
    for query in report["queries"]:
        click.echo(visible(_query_line(report["file"], query)))
    errors, warnings = len(report["errors"]), len(report["warnings"])
    if errors or warnings:
        click.echo(f"{report['file']}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    else:
        click.echo(f"{report['file']}: ok")


def _query_line(file: str, query: dict[str, Any]) -> str:
    from sloguard.core.text import format_duration

    series = ", ".join(
        f"{count} series" if role == "query" else f"{role} {count} series"
        for role, count in query["series"].items()
    )
    parts = [series or "no answer"]
    if query["step_seconds"] is not None:
        parts.append(f"step {format_duration(query['step_seconds'])}")
        lookback = query["lookback_seconds"]
        parts.append(
            f"lookback {format_duration(lookback)}"
            if lookback is not None
            else f"lookback unknown: {query['lookback_problem']}"
        )
    return f"{file}: {query['name']}: " + ", ".join(parts + query["notes"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
