"""What several commands share: options, errors on one line, and where results go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from sloguard.cli.streams import deliver, tell

if TYPE_CHECKING:
    from rich.console import Console

    from sloguard.adapters.store import Store
    from sloguard.core.model import Experiment
    from sloguard.settings import Settings

#: core.model.EXIT_USAGE and EXIT_FAILED, without numpy.
USAGE, FAILED = 2, 1
FORMATS = ("text", "json", "junit", "markdown")

Command = TypeVar("Command", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings file; else $SLOGUARD_CONFIG, ./sloguard.yaml.",
)
prometheus_option = click.option(
    "--prometheus", metavar="URL", help="Prometheus, Thanos, Mimir or VictoriaMetrics."
)
store_option = click.option(
    "--store", metavar="URL", help="Where runs are kept: a file, or postgresql://…"
)
step_option = click.option(
    "--step", metavar="DURATION", help="Distance of the points; else the scrape interval."
)
format_option = click.option(
    "-o", "--format", "format_", type=click.Choice(FORMATS), default="text", show_default=True,
    help="How the verdict is printed.",
)  # fmt: skip
output_option = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the verdict to a file."
)


def variable_options(command: Command) -> Command:
    """``--var`` and ``--var-file``."""
    command = click.option(
        "--var-file", "var_files", multiple=True, metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="YAML, JSON or .env file of variables; can be repeated.",
    )(command)  # fmt: skip
    return click.option(
        "--var", "variables", multiple=True, metavar="KEY[:TYPE]=VALUE",
        help="Override a configuration value; can be repeated.",
    )(command)  # fmt: skip


def fail(message: str, code: int = USAGE) -> NoReturn:
    """End with a message on stderr; by default as the user's mistake, with nothing touched."""
    click.echo(f"sloguard: {message}", err=True)
    sys.exit(code)


def settings_from(config: Path | None, **flags: Any) -> Settings:
    """All settings; ends with every problem at once. ``flags``: ``prometheus``, ``store``, ``charts``,
    ``use_drivers``."""
    from sloguard.settings import SettingsError, load_settings

    names = {
        "prometheus": "prometheus.url",
        "store": "store.url",
        "charts": "charts.directory",
        "use_drivers": "runs.use_drivers",
    }
    try:
        return load_settings(config, flags={names[k]: v for k, v in flags.items()})
    except SettingsError as error:
        fail(f"the settings do not fit:\n{error}")


def seconds(text: str | None, option: str) -> float | None:
    """A duration of the command line in seconds."""
    from sloguard.core.objective import ObjectiveError, parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ObjectiveError as error:
        fail(f"{option}: {error}")


def step_seconds(text: str | None) -> float | None:
    """``--step`` in seconds, at least one."""
    step = seconds(text, "--step")
    if step is not None and step < 1:
        fail(f"--step: expected at least 1s, found {text}")
    return step


def given_variables(pairs: Iterable[str]) -> dict[str, Any]:
    """``--var`` as the loader wants it."""
    from sloguard.spec import SpecError, parse_variables

    try:
        return parse_variables(pairs)
    except SpecError as error:
        fail(str(error))


def load_experiment(
    file: Path,
    variables: Mapping[str, Any] | None = None,
    var_files: tuple[Path, ...] = (),
    *,
    slos_alone: bool = False,
    probes: bool = True,
    use_drivers: bool = False,
    scrape_interval: float = 15.0,
) -> Experiment:
    """Read and check a file; ends with all of its problems, ``file:line:column`` each.

    Warnings go to stderr. What variable files add to the environment joins this process's own, as in the
    Chaos Toolkit. ``slos_alone``: a list of SLOs will do; then nothing of it is carried out. ``probes`` False: nor
    are the probes of its configuration. ``scrape_interval`` (s): what the lookback of SLOs of other files is chosen by.
    """
    from sloguard.bootstrap import run_probe
    from sloguard.spec import SpecError, read

    def probing(*given: Any, environment: Mapping[str, str]) -> Any:
        # Functions look for it there, and programs inherit it.
        os.environ.update(environment)
        with redirect_stdout(sys.stderr):
            return run_probe(*given, use_drivers=use_drivers)

    try:
        loaded = read(
            file,
            variables=variables or {},
            var_files=var_files,
            run_probe=probing if probes and not slos_alone else None,
            slos_alone=slos_alone,
            scrape_interval=scrape_interval,
        )
        if not slos_alone:
            os.environ.update(loaded.experiment.environment)
        for warning in loaded.warnings:
            click.echo(f"warning: {warning}", err=True)
        return loaded.experiment
    except SpecError as error:
        click.echo(str(error), err=True)
        count = len(error.problems)
        files = ", ".join(sorted({p.file for p in error.problems if p.file})) or str(file)
        has = "has" if ", " not in files else "have"
        fail(f"{files} {has} {count} problem{'s' if count != 1 else ''}; nothing was touched")


def plain_logs(mask: Callable[[str], str] = str) -> None:
    """Log lines on stderr, in one line each; with ``SLOGUARD_DEBUG`` all of sloguard's, with tracebacks.

    ``mask`` takes the secrets out of them.
    """
    import logging

    class OneLine(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            text = f"{record.levelname.lower()}: {record.getMessage()}"
            error = record.exc_info[1] if record.exc_info else None
            return mask(text if error is None else f"{text}: {type(error).__name__}: {error}")

    class Whole(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return mask(super().format(record))

    # Python's handler of last resort: used where a driver has set up none of its own.
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(OneLine())
    if os.environ.get("SLOGUARD_DEBUG"):
        ours = logging.getLogger("sloguard")
        ours.setLevel(logging.DEBUG)
        handler = logging.StreamHandler()
        handler.setFormatter(Whole())
        ours.addHandler(handler)
        ours.propagate = False


def the_store(settings: Settings) -> Store:
    """The store; ends with what is wrong and what to do."""
    from sloguard.bootstrap import open_store
    from sloguard.ports import OutsideError

    try:
        return open_store(settings)
    except OutsideError as error:
        fail(str(error), FAILED)


#: Where nothing says how wide the output may be, tables get room for whole sentences.
_WIDE = 120


def console(*, stderr: bool = False) -> Console:
    """A rich console; colours only on a terminal and without NO_COLOR, wide where it is none."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = max(made.width, _WIDE)
    return made


def show_verdict(document: Mapping[str, Any], format_: str, output: Path | None) -> bool:
    """Print a verdict in one of FORMATS, or write it to a file; False where it could not be printed."""
    text = rendered(document, format_)
    exact = format_ in ("json", "junit")
    if output is None:
        return _print(text, exact)
    from sloguard.render.files import write_atomically

    try:
        write_atomically(output, text.encode())
    except OSError as error:
        # The verdict is worth more than the file: it is still said.
        tell(f"sloguard: {output} could not be written: {error.strerror}")
        return _print(text, exact)
    return True


def _print(text: str, exact: bool) -> bool:
    """A verdict on stdout. Where it cannot be read it is a verdict all the same: the exit code tells it."""
    error = deliver(text, exact=exact)
    if error is not None and not isinstance(error, BrokenPipeError):
        tell(f"sloguard: the verdict could not be printed: {error.strerror or error}")
    return error is None


def rendered(document: Mapping[str, Any], format_: str) -> str:
    """A verdict as text in one of FORMATS."""
    from sloguard.core.visible import visible_data

    if format_ == "json":
        import json

        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if format_ == "junit":
        from sloguard.render.junit import junit

        return junit(document)
    document = visible_data(document)
    if format_ == "markdown":
        from sloguard.render.markdown import markdown

        return markdown(document)
    from sloguard.render.console import print_verdict

    target = console()
    terminal = target.is_terminal
    # Not rich's own capture, which touches the output all the same, and that may be gone.
    target.file = written = StringIO()
    print_verdict(document, target)
    text = written.getvalue()
    if terminal:
        return text
    # Tables are padded to their width; in a file or a log that is only noise.
    return "\n".join(line.rstrip() for line in text.split("\n"))
