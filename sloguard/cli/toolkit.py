"""The options of ``chaos run`` that ``sloguard run`` has too, and what they make of an experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sloguard.cli.common import fail

if TYPE_CHECKING:
    from sloguard.core.model import Experiment
    from sloguard.engine.toolkit import Toolkit

F = TypeVar("F", bound=Callable[..., Any])

_STRATEGIES = (
    "default",
    "before-method-only",
    "after-method-only",
    "during-method-only",
    "continuously",
    "skip",
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option(
        "--hypothesis-strategy",
        type=click.Choice(_STRATEGIES),
        help="When the probes are asked, before what the file says.",
    ),
    click.option(
        "--hypothesis-frequency",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="How long the probes rest between two looks under the fault (1).",
    ),
    click.option(
        "--fail-fast",
        is_flag=True,
        help="End the method with the first look under the fault that is not met.",
    ),
    click.option(
        "--rollback-strategy",
        type=click.Choice(("default", "always", "never", "deviated")),
        help="Other than 'always' with --compat only. What sloguard itself injects is always undone.",
    ),
    click.option(
        "--dry",
        type=click.Choice(("probes", "actions", "activities", "pause")),
        help="Leave these out of the run. See --dry-run for looking only.",
    ),
    click.option(
        "--control-file",
        "control_files",
        multiple=True,
        type=_FILE,
        help="Controls for this run besides the file's own: a mapping of names to controls.",
    ),
    click.option(
        "--settings",
        "toolkit_settings",
        type=_FILE,
        help="The Chaos Toolkit's settings, for the controls and strategies in them "
        "(with --compat ~/.chaostoolkit/settings.yaml).",
    ),
    click.option(
        "--compat",
        is_flag=True,
        help="End with the exit code, the rollback policy and the journal of 'chaos run'.",
    ),
)


def toolkit_options(command: F) -> F:
    """Add the options of ``chaos run``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def toolkit_of(flags: dict[str, Any]) -> Toolkit:
    """What the engine needs to know of them; ends with what is wrong about the files.

    With ``--compat`` the journal has the Chaos Toolkit's name, unless another was given.
    """
    from sloguard.engine.toolkit import Toolkit

    compat, strategy = flags["compat"], flags["rollback_strategy"]
    if strategy not in (None, "always") and not compat:
        raise click.UsageError(
            f"--rollback-strategy {strategy}: sloguard carries rollbacks out whatever happens; "
            "the Chaos Toolkit's policy is followed with --compat"
        )
    if compat and flags["journal_path"] is None:
        flags["journal_path"] = Path("journal.json")
    settings = _settings(flags["toolkit_settings"], compat=compat)
    controls = [*_controls(settings.get("controls") or {}, "the settings")]
    for file in flags["control_files"]:
        controls += _controls(_mapping(file), str(file))
    return Toolkit(
        compat=compat, dry=flags["dry"] or "", controls=tuple(controls), settings=settings
    )


def as_flagged(
    experiment: Experiment, flags: Mapping[str, Any], settings: Mapping[str, Any]
) -> Experiment:
    """The experiment with the strategies that count: the flags', else the file's, else the settings'.

    They are written into its document, so that what is kept of the run says by what it was judged.
    """
    given = {
        "hypothesis": {
            "strategy": flags["hypothesis_strategy"],
            "frequency": flags["hypothesis_frequency"],
            "fail_fast": flags["fail_fast"] or None,
        },
        "rollbacks": {"strategy": flags["rollback_strategy"]},
    }
    runtime = {**(experiment.runtime or settings.get("runtime") or {})}
    for section, values in given.items():
        chosen = {key: value for key, value in values.items() if value is not None}
        if chosen:
            runtime[section] = {**(runtime.get(section) or {}), **chosen}
    if flags["compat"] and flags["step_by_step"]:
        # Whoever may abort at each step is promised that everything is undone then.
        rollbacks = runtime.get("rollbacks") or {}
        if rollbacks.get("strategy", "default") in ("default", "deviated"):
            runtime["rollbacks"] = {**rollbacks, "strategy": "always"}
    if runtime == experiment.runtime:
        return experiment
    declared = {**experiment.declared, "runtime": runtime}
    return replace(experiment, runtime=runtime, declared=declared)


def _settings(file: Path | None, *, compat: bool) -> Mapping[str, Any]:
    usual = Path("~/.chaostoolkit/settings.yaml").expanduser()
    if file is None and not (compat and usual.is_file()):
        return {}
    found = _mapping(file or usual)
    _check_runtime(found.get("runtime"), file or usual)
    return found


def _check_runtime(runtime: Any, file: Path) -> None:
    """As in an experiment: a mistyped strategy must not leave anything as it was broken."""
    from sloguard.documents.problems import DocumentError
    from sloguard.spec import load

    try:
        load({"title": "-", "description": "-", "method": [], "runtime": runtime}, environ={})
    except DocumentError as error:
        # Of a value that was read elsewhere no line is known.
        found = (
            replace(problem, file=str(file), line=None, column=None) for problem in error.problems
        )
        fail("; ".join(map(str, found)))


def _mapping(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        # JSON is YAML too.
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        fail(f"{file} cannot be read: {' '.join(str(error).split())}")
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        fail(f"{file}: expected a mapping, found {type(found).__name__}")
    return found


def _controls(found: Any, where: str) -> Iterable[dict[str, Any]]:
    """Each as it would stand in an experiment."""
    if not isinstance(found, Mapping):
        fail(f"{where}: 'controls': expected a mapping of names to controls")
    for name, control in found.items():
        provider = control.get("provider") if isinstance(control, Mapping) else None
        if not isinstance(provider, Mapping) or not provider.get("module"):
            fail(
                f"{where}: control '{name}': expected a provider such as "
                "{type: python, module: my.control}"
            )
        yield {**control, "name": str(name)}
