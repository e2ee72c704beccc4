"""``sloguard run``."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import (
    FAILED,
    config_option,
    console,
    fail,
    format_option,
    given_variables,
    load_experiment,
    output_option,
    plain_logs,
    prometheus_option,
    settings_from,
    show_verdict,
    step_option,
    step_seconds,
    store_option,
    the_store,
    variable_options,
)
from sloguard.cli.people import people_options, with_people
from sloguard.cli.recovering import recover_dead_runs
from sloguard.cli.streams import Masked, tell
from sloguard.cli.toolkit import as_flagged, toolkit_of, toolkit_options

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.core.events import Event, RunEnded
    from sloguard.core.model import Experiment
    from sloguard.engine.control import Control
    from sloguard.engine.options import Options
    from sloguard.engine.ports_bundle import Ports
    from sloguard.engine.toolkit import Toolkit
    from sloguard.settings import Settings

Consumer = Callable[["Event"], object]
#: A store takes a run for alive for 60 s after the last sign of it.
_BEAT_SECONDS = 20.0


@click.command("run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Look, plan and print what would be hit; touch nothing."
)
@click.option(
    "--use-drivers",
    is_flag=True,
    help="Call chaosk8s and chaosistio themselves, in place of sloguard's own functions.",
)
@click.option("--seed", type=int, help="Repeat the random choices of a run.")
@click.option(
    "--charts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a chart of every SLO into a directory.",
)
@click.option(
    "--journal-path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a Chaos Toolkit journal.",
)
@people_options
@step_option
@prometheus_option
@store_option
@config_option
@variable_options
@toolkit_options
@format_option
@output_option
def command(file: Path, dry_run: bool, **flags: Any) -> None:  # fmt: skip
    """Run an experiment: look, break, watch, undo, judge.

    FILE is YAML or JSON in the Chaos Toolkit's format with sloguard's keys. The verdict goes to stdout,
    progress to stderr, and the exit code is the verdict (see sloguard --help). Ctrl-C stops the method
    and undoes everything.

    \b
      sloguard run experiment.yaml --prometheus http://localhost:9090
      sloguard run experiment.yaml --var namespace=shop --charts charts --format json
      sloguard run experiment.yaml --dry-run
      sloguard run experiment.yaml --approve --step-by-step
    """
    from sloguard.bootstrap import provide_clusters

    settings = settings_from(
        flags["config"],
        prometheus=flags["prometheus"],
        store=flags["store"],
        charts=None if flags["charts"] is None else str(flags["charts"]),
        use_drivers=True if flags["use_drivers"] else None,
    )
    step = step_seconds(flags["step"])
    variables = given_variables(flags["variables"])
    toolkit = toolkit_of(flags)
    provide_clusters(settings)
    with _ending_as_there(toolkit):
        experiment = load_experiment(
            file,
            variables,
            flags["var_files"],
            use_drivers=settings.runs.use_drivers,
            scrape_interval=settings.prometheus.scrape_interval,
        )
    experiment = as_flagged(experiment, flags, toolkit.settings)
    more = {"step": step, "seed": flags["seed"], "variables": variables, "toolkit": toolkit}
    sys.exit(_run(experiment, settings, dry_run=dry_run, more=more, flags=flags))


def _run(
    experiment: Experiment,
    settings: Settings,
    *,
    dry_run: bool,
    more: dict[str, Any],
    flags: dict[str, Any],
) -> int:
    from sloguard.bootstrap import new_run_id, options, ports
    from sloguard.cli.telling import Telling
    from sloguard.core.backlog import answers
    from sloguard.core.masking import Masker
    from sloguard.engine.control import Control
    from sloguard.ports import OutsideError

    mask = Masker.of(experiment.secrets).text
    plain_logs(mask)
    store = the_store(settings)
    try:
        asks = experiment.slos or experiment.guards or experiment.alerts.declared
        made = ports(settings, store, metrics=bool(asks))
    except OutsideError as error:
        fail(str(error))
    chosen = options(settings, run=new_run_id(), **more)
    control = Control()
    if dry_run:
        with stopping(control):
            return _dry(experiment, made, chosen, control)
    made, chosen, terminal = with_people(made, chosen, flags, settings, store, experiment)
    # What functions and controls print is no result, and may hold what they were trusted with.
    with stopping(control), redirect_stdout(Masked(sys.stderr, mask)):
        try:
            telling = Telling(settings, store)
        except OutsideError as error:
            fail(str(error))
        recover_dead_runs(store, settings, telling.runs())
        keeping = _Keeping(store)
        with _beating(store, chosen.run):
            around = telling.around(keeping)
            progress = None if terminal is None else terminal.progress
            ended = _drive(experiment, made, chosen, control, around, flags, progress)
    if ended is None:
        telling.finish()
        return FAILED
    show_verdict(ended.document, flags["format_"], flags["output"])
    if keeping.whole:
        _write_charts(store, settings, ended)
        tell(f"run {ended.run}, kept in {store.where}; again: sloguard runs show {ended.run}")
        for line in answers(experiment.tags, str(ended.outcome)):
            tell(line)
    else:
        drawn = "" if settings.charts.directory is None else ", and has no charts"
        tell(
            f"run {ended.run} is not whole in {store.where}{drawn}: what it says above is all there is. "
            "When the store takes data again, 'sloguard recover' closes what it has of it"
        )
    telling.finish()
    return _code(ended.document)


def _code(document: Mapping[str, Any]) -> int:
    """The verdict's exit code; with ``--compat`` that of ``chaos run``, and why it is another."""
    code: int = document["exit_code"]
    there = document.get("compat")
    if there is None:
        return code
    tell(f"exit code {there['exit_code']} (--compat): {there['why']}; without it, it is {code}")
    return int(there["exit_code"])


@contextmanager
def _ending_as_there(toolkit: Toolkit) -> Iterator[None]:
    """An experiment that cannot be read ends ``chaos run`` with 1."""
    try:
        yield
    except SystemExit:
        if toolkit.compat:
            sys.exit(FAILED)
        raise


class _Keeping:
    """Keeps events in the store. ``whole``: nothing but sayings is missing of the run."""

    def __init__(self, store: Store) -> None:
        self.__qualname__ = "the store"
        self._store = store
        self.whole = True

    def __call__(self, event: Event) -> None:
        from sloguard.core.events import Note, Observed

        try:
            self._store.record(event)
        except Exception:
            if not isinstance(event, Note | Observed):
                self.whole = False
            raise


def _drive(
    experiment: Experiment,
    made: Ports,
    chosen: Options,
    control: Control,
    around: list[Consumer],
    flags: dict[str, Any],
    progress: Consumer | None = None,
) -> RunEnded | None:
    from sloguard.engine.run import drive, run
    from sloguard.telemetry import traces

    with ExitStack() as stack:
        consumers = list(around)
        tracing = traces.start("run")
        if tracing is not None:
            from sloguard.engine.tracing import traced
            from sloguard.telemetry.run_spans import RunSpans

            stack.callback(traces.close_all)
            spans = RunSpans(tracing)
            stack.callback(spans.close)
            made = traced(made, spans)
            consumers.append(spans.record)
        if flags["journal_path"] is not None:
            from sloguard.render.journal import JournalWriter

            consumers.append(JournalWriter(str(flags["journal_path"])).record)
        # Where questions are asked, nothing else may draw on the terminal.
        consumers.append(progress or stack.enter_context(_progress()))
        return drive(run(experiment, made, chosen, control), consumers)


@contextmanager
def _progress() -> Iterator[Consumer]:
    """Redrawn on a terminal; plain lines on stderr everywhere else."""
    import time

    if not sys.stderr.isatty():
        yield plain_progress()
        return
    from sloguard.render.live import LiveProgress

    live = LiveProgress(console(stderr=True), time.time)
    try:
        with suppress(OSError):
            live.__enter__()
        yield live
    finally:
        # A terminal that was closed meanwhile takes no verdict with it.
        with suppress(OSError):
            live.__exit__(None, None, None)


def plain_progress(every: float = 10.0) -> Consumer:
    """Lines on stderr; the live picture at most once in ``every`` seconds."""
    from sloguard.core.events import Observed
    from sloguard.render.lines import line

    last = [float("-inf")]

    def show(event: Event) -> None:
        if isinstance(event, Observed):
            if event.at - last[0] < every:
                return
            last[0] = event.at
        text = line(event)
        if text:
            tell(text)

    return show


def _dry(experiment: Experiment, made: Ports, chosen: Options, control: Control) -> int:
    """Print the plan; 0 if a run could start now, else the exit code of not-started."""
    from sloguard.core.events import Note, Preflight
    from sloguard.core.model import EXIT_CODES, Outcome
    from sloguard.core.visible import visible
    from sloguard.engine.dry import dry_run

    marks = {True: "✓", False: "✗", None: "!"}
    events = dry_run(experiment, made, chosen, control)
    click.echo(f"{visible(experiment.title)}: dry run, nothing is touched")
    while True:
        try:
            event = next(events)
        except StopIteration as stop:
            return 0 if stop.value else EXIT_CODES[Outcome.NOT_STARTED]
        if isinstance(event, Preflight):
            click.echo(visible(f"{marks[event.ok]} {event.name}: {event.message}"))
        elif isinstance(event, Note):
            click.echo(visible(f"{'✗' if event.level == 'error' else ' '} {event.message}"))


@contextmanager
def stopping(control: Control) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP ask the run to stop; asking again never skips the undo.

    So do SIGUSR1 and SIGUSR2, with which controls and drivers of the Chaos Toolkit end an experiment.
    """

    def ask(number: int, _frame: object) -> None:
        control.abort(signal.Signals(number).name)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    kept = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def _beating(store: Store, run: str) -> Iterator[None]:
    """Tell the store now and then that this run is alive, also while nothing happens in it."""
    from sloguard.ports import OutsideError

    done = threading.Event()

    def beat() -> None:
        while not done.wait(_BEAT_SECONDS):
            try:
                store.beat(run)
            except OutsideError as error:
                tell(f"sloguard: {error}")

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _write_charts(store: Store, settings: Settings, ended: RunEnded) -> None:
    """The pictures of a run, from the evidence that was kept. Without them the verdict stands as well."""
    directory = settings.charts.directory
    if directory is None or ended.timeline is None:
        return
    from sloguard.cli.chart import draw_run

    try:
        for path in draw_run(store, ended.run, directory / ended.run, settings):
            tell(f"chart: {path}")
    except Exception as error:  # noqa: BLE001 - whatever stops a picture, the run has its outcome
        tell(f"sloguard: no more charts: {type(error).__name__}: {error}")
