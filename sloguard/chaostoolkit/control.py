"""A control for ``chaos run``: the SLOs are judged before, during and after, by sloguard.

In an experiment, or in the ``controls`` of the Chaos Toolkit's settings for all of them:

    controls:
      - name: sloguard
        provider:
          type: python
          module: sloguard.chaostoolkit.control
          arguments: {prometheus: "http://localhost:9090", slos: slos/checkout.yaml}

The Chaos Toolkit swallows whatever a control does wrong, save an interruption. So everything that could
make a judgement impossible is found out before the method and interrupts the run, and what goes wrong
later turns the journal's status to ``failed``: an absent verdict is never green.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from sloguard.core.masking import Masker
from sloguard.documents.problems import did_you_mean

if TYPE_CHECKING:
    from sloguard.chaostoolkit.companion import Companion
    from sloguard.chaostoolkit.surround import Consumer
    from sloguard.cli.telling import Telling
    from sloguard.settings import Settings

log = logging.getLogger("chaostoolkit")

#: What the control can be given, with what it means.
ARGUMENTS: Mapping[str, str] = {
    "prometheus": "Address of Prometheus; else that of sloguard's settings.",
    "slos": "File with a list of SLOs, besides those of the experiment.",
    "store": "Where runs are kept; else that of sloguard's settings.",
    "config": "sloguard's settings file.",
    "keep": "Whether the run is kept in the store (true).",
    "inconclusive_fails": "Whether a run without evidence either way ends with status failed (true).",
}


@dataclass(slots=True)
class _Held:
    """What one hook leaves for the next. The Chaos Toolkit runs one experiment a process."""

    companion: Companion | None = None
    broken: str = ""
    lenient: bool = False
    telling: Telling | None = None


_held = _Held()


def configure_control(
    experiment: Mapping[str, Any] | None = None, event_registry: Any = None, **arguments: Any
) -> None:
    """Called first. A guard that stops the method must not leave the fault behind."""
    _held.companion, _held.broken, _held.lenient, _held.telling = None, "", False, None
    slos = str(arguments.get("slos") or "")
    if event_registry is not None:
        from sloguard.chaostoolkit.rolling_back import can_stop, roll_back_always

        # What has to be approved ends before its method: there is nothing to roll back, and nobody agreed to it.
        if can_stop(experiment or {}, slos) and not _has_to_be_approved(experiment or {}):
            event_registry.register(roll_back_always())


def before_experiment_control(
    context: Mapping[str, Any],
    configuration: Mapping[str, Any] | None = None,
    secrets: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> None:
    """Read what is to be judged, and look whether it can be."""
    if _is_dry(context):
        log.warning("sloguard: a dry run breaks nothing, and nothing is judged")
        return
    _held.lenient = arguments.get("inconclusive_fails", True) is False

    def begin() -> None:
        _held.companion = _companion(context, configuration or {}, secrets or {}, arguments)
        _held.companion.begin()

    _guarded(begin)


def before_method_control(
    context: Mapping[str, Any],  # noqa: ARG001 - the Chaos Toolkit calls it by this name
    **_arguments: Any,
) -> None:
    """The gate: the steady state has to be met before anything is broken."""
    if _held.companion is not None:
        _guarded(_held.companion.gate)


def before_activity_control(
    context: Mapping[str, Any], experiment: Mapping[str, Any] | None = None, **_arguments: Any
) -> None:
    """The first action of the method is the fault; after a guard has tripped there are no more of them."""
    if _held.companion is None or not _is_of(context, experiment, "method"):
        return
    if _held.companion.stopped:
        _interrupt(_held.companion.stopped)
    if context.get("type") == "action":
        _held.companion.fault_begins()


def after_method_control(
    context: Mapping[str, Any],  # noqa: ARG001 - the Chaos Toolkit calls it by this name
    **_arguments: Any,
) -> None:
    """Hold the fault for as long as the phases declare."""
    if _held.companion is not None:
        _held.companion.hold()


def after_rollback_control(
    context: Mapping[str, Any],  # noqa: ARG001 - the Chaos Toolkit calls it by this name
    **_arguments: Any,
) -> None:
    """All is undone."""
    if _held.companion is not None:
        _held.companion.rolled_back()


def after_experiment_control(
    context: Mapping[str, Any], state: dict[str, Any], **_arguments: Any
) -> None:
    """Judge, and write the verdict into the journal."""
    if _is_dry(context):
        return
    if _held.companion is None:
        _fail(state, _held.broken or "the control did not see the beginning of this run")
        return
    try:
        made = _held.companion.finish(state)
    except Exception as error:
        log.debug("sloguard: the judgement failed", exc_info=True)
        _fail(state, f"{type(error).__name__}: {error}")
        return
    state["sloguard"] = made
    _decide(state, made)
    if _held.telling is not None:
        _held.telling.finish()


def cleanup_control() -> None:
    """Called last."""
    _held.companion = None


# What the hooks are made of.


def _has_to_be_approved(experiment: Mapping[str, Any]) -> bool:
    """Whether that is certain as it is written, before variables have values."""
    approval = experiment.get("approval")
    return isinstance(approval, Mapping) and approval.get("required", True) is True


def _is_dry(experiment: Mapping[str, Any]) -> bool:
    """Whether no action is carried out. Without its probes or pauses alone a run breaks as any other, and
    a word in the file is nothing to the Chaos Toolkit: it heeds the value of its flag."""
    from chaoslib.types import Dry

    return experiment.get("dry") in (Dry.ACTIONS, Dry.ACTIVITIES)


def _companion(
    declared: Mapping[str, Any],
    configuration: Mapping[str, Any],
    secrets: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> Companion:
    from sloguard.bootstrap import new_run_id, open_store, options, ports
    from sloguard.chaostoolkit.companion import Companion
    from sloguard.chaostoolkit.reading import experiment_of
    from sloguard.chaostoolkit.surround import Surround
    from sloguard.cli.telling import Telling

    settings = _settings(arguments)
    experiment = experiment_of(declared, configuration, secrets, str(arguments.get("slos") or ""))
    store = open_store(settings)
    made = ports(settings, store)
    assert made.metrics is not None  # noqa: S101 - it was asked for
    consumers: Sequence[Consumer] = ()
    if arguments.get("keep", True) is not False:
        _held.telling = Telling(settings, store)
        consumers = _held.telling.around(store.recorder(experiment=_name(declared, secrets)).record)
    around = Surround(
        metrics=made.metrics,
        live=made.live or made.metrics,
        clock=made.clock,
        options=options(settings, run=new_run_id()),
        sources=made.alert_sources,
        silences=made.silences,
        consumers=consumers,
    )
    return Companion(experiment, around, _stop_run)


def _name(declared: Mapping[str, Any], secrets: Mapping[str, Any]) -> str:
    """A name by which the runs of one experiment are found, for want of the file's."""
    title = Masker.of(secrets).text(str(declared.get("title", "")))
    words = re.findall(r"[a-z0-9]+", title.lower())
    return "-".join(words)[:60].strip("-")


def _settings(arguments: Mapping[str, Any]) -> Settings:
    from pathlib import Path

    from sloguard.settings import load_settings

    unknown = [name for name in arguments if name not in ARGUMENTS]
    if unknown:
        hint = did_you_mean(unknown[0], list(ARGUMENTS))
        expected = ", ".join(ARGUMENTS)
        raise ValueError(f"unknown argument '{unknown[0]}' ({expected}) {hint}".rstrip())
    given = {"prometheus.url": arguments.get("prometheus"), "store.url": arguments.get("store")}
    flags = {name: str(value) for name, value in given.items() if value}
    config = arguments.get("config")
    return load_settings(Path(str(config)) if config else None, flags=flags)


def _guarded(work: Callable[[], object]) -> None:
    """Whatever stands in the way interrupts the run: nothing is broken without a judge."""
    try:
        work()
    except Exception as error:
        log.debug("sloguard: it cannot judge this run", exc_info=True)
        _held.broken = " ".join(str(error).split()) or type(error).__name__
        _interrupt(_held.broken)


def _interrupt(reason: str) -> NoReturn:
    from chaoslib.exceptions import InterruptExecution

    raise InterruptExecution(f"sloguard: {reason}")


def _stop_run(reason: str) -> None:
    """From the guards' thread: end what is under way, rollbacks included in what follows."""
    from chaoslib.exit import exit_gracefully

    log.critical("sloguard: %s", reason)
    exit_gracefully()


def _is_of(activity: Mapping[str, Any], experiment: Mapping[str, Any] | None, section: str) -> bool:
    """Whether an activity stands in this section, by what it says: the Chaos Toolkit hands out copies."""
    declared = (experiment or {}).get(section) or []
    return any(
        one is activity or (one.get("name"), one.get("provider")) == _identity(activity)
        for one in declared
        if isinstance(one, Mapping)
    )


def _identity(activity: Mapping[str, Any]) -> tuple[Any, Any]:
    return activity.get("name"), activity.get("provider")


def _fail(state: dict[str, Any], reason: str) -> None:
    log.critical("sloguard: there is no verdict: %s", reason)
    state["status"] = "failed"
    state["sloguard"] = {"outcome": None, "reason": reason}


def _decide(state: dict[str, Any], made: Mapping[str, Any]) -> None:
    """The verdict in the journal's own words, by which ``chaos run`` takes its exit code."""
    outcome, reason = str(made["outcome"]), made["reason"]
    say = log.info if outcome == "met" else log.critical
    say("sloguard: %s: %s", outcome, reason)
    if outcome == "deviated":
        state["deviated"] = True
    elif outcome == "aborted":
        state["status"] = "interrupted"
    elif outcome in ("not-started", "not-restored") or (
        outcome == "inconclusive" and not _held.lenient
    ):
        state["status"] = "failed"
