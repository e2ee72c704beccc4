"""``sloguard report``."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import (
    FAILED,
    config_option,
    fail,
    settings_from,
    store_option,
    the_store,
)

if TYPE_CHECKING:
    from sloguard.core.reporting import StoredReport
    from sloguard.render.report.period import Period
    from sloguard.render.report.subjects import Subject
    from sloguard.service.reporting import ReportDesk
    from sloguard.settings import Settings

_FORMATS = ("html", "pdf", "md", "json")
_ENDINGS = {".html": "html", ".htm": "html", ".pdf": "pdf", ".md": "md", ".json": "json"}
#: A file that is larger is no verdict.
_LARGEST = 256 << 20

format_option = click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    help="How it is written.  [default: as --output ends, else html]",
)
output_option = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; else stdout."
)
zone_option = click.option(
    "--time-zone", metavar="ZONE", help="Such as Europe/Berlin.  [default: the setting]"
)
keep_option = click.option(
    "--keep", is_flag=True, help="Also keep it in the store, for the service's pages."
)


@click.group("report")
def command() -> None:
    """Write reports: of single runs, and of a week with its trend."""


@command.command("run")
@click.argument("runs", nargs=-1, required=True, metavar="RUN|FILE.json...")
@format_option
@output_option
@zone_option
@keep_option
@store_option
@config_option
def run(runs: tuple[str, ...], **flags: Any) -> None:
    """One run, or several side by side.

    RUN is an id, a unique beginning of one, or latest. FILE.json is a verdict ('sloguard run --format json')
    or a journal of the Chaos Toolkit; a journal has no samples, and the report says what is known.

    \b
      sloguard report run latest --output run.html
      sloguard report run 20261121T0315 20261114T0315 --output both.pdf
      sloguard report run journal.json --format md
    """
    from sloguard.ports import OutsideError
    from sloguard.render.report import ReportError

    settings = _settings(flags)
    try:
        desk = _desk(settings, needed=flags["keep"] or any(not _is_file(text) for text in runs))
        subjects = [_subject(desk, text) for text in runs]
        report = desk.runs(subjects, zone=settings.reports.time_zone)
        _deliver(report, settings, flags)
    except (ReportError, OutsideError) as error:
        fail(str(error))


@command.command("weekly")
@click.option("--week", metavar="YYYY-Www", help="An ISO week.  [default: the one that ended last]")
@click.option("--since", metavar="TIME", help="In place of a week: from then on.")
@click.option("--until", metavar="TIME", help="Up to then.  [default: now]")
@click.option(
    "--weeks",
    type=click.IntRange(1, 26),
    help="Weeks (or windows) side by side.  [default: the setting]",
)
@click.option(
    "--experiments",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of experiments that could be run.  [default: the setting of serve]",
)
@format_option
@output_option
@zone_option
@keep_option
@store_option
@config_option
def weekly(week: str | None, since: str | None, until: str | None, weeks: int | None, experiments: tuple[Path, ...], **flags: Any) -> None:  # fmt: skip
    """What a week of chaos found, for those who decide and for those who repair.

    One page to skim: outcomes and their trend, weaknesses, recovery, error budget, alerts, blast radius, what
    to do next; the details behind. A TIME without a zone is of --time-zone.

    \b
      sloguard report weekly --output week.pdf
      sloguard report weekly --week 2026-W47 --time-zone Europe/Berlin --output week.html
      sloguard report weekly --since 2026-11-01 --until 2026-12-01 --format md
    """
    from sloguard.ports import OutsideError
    from sloguard.render.report import ReportError

    settings = _settings(flags)
    try:
        period = _period(week, since, until, settings.reports.time_zone)
        desk = _desk(settings, experiments=experiments)
        report = desk.weekly(period, weeks=weeks or settings.reports.weeks)
        _deliver(report, settings, flags)
    except (ReportError, OutsideError) as error:
        fail(str(error))


def _settings(flags: dict[str, Any]) -> Settings:
    from dataclasses import replace

    settings = settings_from(flags["config"], store=flags["store"])
    if flags["time_zone"]:
        settings = replace(
            settings, reports=replace(settings.reports, time_zone=flags["time_zone"])
        )
    return settings


def _desk(
    settings: Settings, *, experiments: tuple[Path, ...] = (), needed: bool = True
) -> ReportDesk:
    """``needed`` False: only files are read, and nothing is kept; a store is not even made."""
    from dataclasses import replace

    from sloguard.bootstrap import report_desk
    from sloguard.service.reporting import ReportDesk, known_of

    if not needed:
        from sloguard.bootstrap import new_run_id

        # Nothing is asked of it: files have no charts.
        nothing: Any = None
        return ReportDesk(nothing, known=lambda: known_of(None), new_id=new_run_id)
    if experiments:
        places = tuple(str(path) for path in experiments)
        settings = replace(settings, serve=replace(settings.serve, experiments=places))
    return report_desk(settings, the_store(settings))


def _is_file(text: str) -> bool:
    return text.endswith(".json") or Path(text).is_file()


def _subject(desk: ReportDesk, text: str) -> Subject:
    from sloguard.render.report import ReportError
    from sloguard.render.report.subjects import of_file

    if not _is_file(text):
        return desk.stored([text])[0]
    path = Path(text)
    try:
        if path.stat().st_size > _LARGEST:
            raise ReportError(f"{text}: a file of {path.stat().st_size >> 20} MiB is no verdict")
        return of_file(path.read_text("utf-8"), text)
    except OSError as error:
        raise ReportError(f"{text}: it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"{text}: this is no JSON in UTF-8: {error.reason}") from error


def _period(week: str | None, since: str | None, until: str | None, zone: str) -> Period:
    from sloguard.render.report import ReportError, period

    if week is not None and (since is not None or until is not None):
        raise ReportError(
            "--week is a window of its own: leave --since and --until away, or --week"
        )
    if week is not None:
        return period.week(week, zone)
    if until is not None and since is None:
        raise ReportError("--until needs --since: when does the window begin?")
    if since is None:
        return period.last_whole_week(time.time(), zone)
    end = time.time() if until is None else _moment(until, "--until", zone)
    return period.window(_moment(since, "--since", zone), end, zone)


def _moment(text: str, option: str, zone: str) -> float:
    """A time without a zone is of the report's."""
    from sloguard.cli.moments import moment
    from sloguard.render.report.period import zone_of

    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return moment(text, option) or 0.0
    return (found if found.tzinfo else found.replace(tzinfo=zone_of(zone))).timestamp()


def _deliver(report: StoredReport, settings: Settings, flags: dict[str, Any]) -> None:
    """Keep it where that is wanted, then write it."""
    output: Path | None = flags["output"]
    form = flags["format_"] or _ENDINGS.get(output.suffix.lower() if output else "", "html")
    content = _content(report, form, settings.serve.base_url)
    if flags["keep"]:
        the_store(settings).keep_report(report)
        click.echo(f"kept as report {report.id}", err=True)
    if output is None:
        if form == "pdf" and sys.stdout.isatty():
            fail("a PDF is nothing for a terminal: name a file with --output")
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    from sloguard.render.files import write_atomically

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(output, content)
    except OSError as error:
        fail(f"{output} could not be written: {error.strerror}", FAILED)
    click.echo(f"{report.title}: {report.model['headline']}", err=True)


def _content(report: StoredReport, form: str, base_url: str) -> bytes:
    if form == "json":
        text = json.dumps(report.model, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        return text.encode("utf-8", "backslashreplace")
    from sloguard.render.report.writing import markdown_of, page_of

    if form == "md":
        return markdown_of(report.model).encode("utf-8", "backslashreplace")
    page = page_of(report.model, report.body, base_url)
    if form == "html":
        return page.encode("utf-8", "backslashreplace")
    from sloguard.render.report.pdf import pdf_of

    return pdf_of(page)
