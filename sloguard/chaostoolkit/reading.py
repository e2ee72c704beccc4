"""What the Chaos Toolkit hands to a control, in sloguard's words: the experiment, and the journal of its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sloguard.core.masking import Masker
from sloguard.core.model import (
    Activity,
    ActivityRecord,
    ActivityStatus,
    Experiment,
    PhaseName,
    Verdict,
)
from sloguard.core.outcome import ProbeResult
from sloguard.documents.problems import DocumentError
from sloguard.spec import load, parse_slos

#: What sloguard reads of an experiment itself. Its activities are the Chaos Toolkit's.
_OWN = (
    *("title", "description", "tags", "contributions"),
    *("phases", "abort-when", "alerts", "budget", "approval", "backlog"),
)


class NothingToJudge(Exception):
    """No SLO is declared, or what is declared cannot be read. The text is for people."""


def experiment_of(
    declared: Mapping[str, Any],
    configuration: Mapping[str, Any],
    secrets: Mapping[str, Any],
    slos: str = "",
) -> Experiment:
    """The SLOs, phases and guards of an experiment, its variables resolved by the Chaos Toolkit.

    ``slos``: a file with a list of SLOs, which join the experiment's own; its phases, alerts and budget
    count where the experiment declares none. Raises NothingToJudge.
    """
    hypothesis = declared.get("steady-state-hypothesis") or {}
    own: dict[str, Any] = {key: declared[key] for key in _OWN if declared.get(key) is not None}
    # Nothing is judged by it; the Chaos Toolkit has said already where one is missing.
    own["description"] = own.get("description") or declared.get("title", "")
    document = {
        **own,
        "configuration": dict(configuration),
        "secrets": dict(secrets),
        "method": [],
        "steady-state-hypothesis": {
            "title": hypothesis.get("title") or declared.get("title", ""),
            "slos": hypothesis.get("slos") or [],
        },
    }
    try:
        experiment = load(document, environ={})
        if slos:
            experiment = _joined(experiment, parse_slos(slos), own)
    except DocumentError as error:
        problems = "; ".join(str(problem) for problem in error.problems) or str(error)
        raise NothingToJudge(problems) from None
    except OSError as error:
        raise NothingToJudge(f"{slos}: {error.strerror or error}") from None
    if not experiment.slos:
        raise NothingToJudge(
            "there is no SLO to judge: declare some under steady-state-hypothesis.slos, or name a file of "
            "them in the control's argument 'slos'"
        )
    masker = Masker.of(secrets)
    # For people who read the run later. Recovery must find nothing in it that it could carry out.
    shown = {"name": "chaostoolkit", "experiment": masker.data(_plain(declared))}
    kept = masker.data({**document, "secrets": {}, "extensions": [shown]})
    return replace(experiment, secrets=dict(secrets), declared=kept)


def _joined(experiment: Experiment, other: Experiment, own: Mapping[str, Any]) -> Experiment:
    taken = {slo.name for slo in experiment.slos}
    twice = [slo.name for slo in other.slos if slo.name in taken]
    if twice:
        raise NothingToJudge(
            f"{Path(other.source).name} and the experiment both have an SLO '{twice[0]}'; rename one"
        )
    return replace(
        experiment,
        slos=(*experiment.slos, *other.slos),
        phases=experiment.phases if "phases" in own else other.phases,
        alerts=experiment.alerts if "alerts" in own else other.alerts,
        budget=experiment.budget if "budget" in own else other.budget,
    )


def _plain(value: Any) -> Any:
    """As JSON has it; the Chaos Toolkit adds an enumeration of its own to the document."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if key != "dry"}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


Section = Literal["configuration", "hypothesis", "method", "rollbacks"]


def activities_of(
    journal: Mapping[str, Any], offset: float, masker: Masker
) -> tuple[ActivityRecord, ...]:
    """The activities of the method and of the rollbacks. ``offset``: Prometheus's clock less the local one."""
    sections: tuple[tuple[Section, str], ...] = (("method", "run"), ("rollbacks", "rollbacks"))
    return tuple(
        _record(run, section, index, offset, masker)
        for section, key in sections
        for index, run in enumerate(_runs(journal.get(key)))
    )


def probes_of(journal: Mapping[str, Any], offset: float, masker: Masker) -> tuple[ProbeResult, ...]:
    """The probes of the hypothesis as the Chaos Toolkit has held them against their tolerances."""
    found = []
    states = journal.get("steady_states") or {}
    for phase in (PhaseName.BEFORE, PhaseName.AFTER):
        for index, run in enumerate(_runs((states.get(phase) or {}).get("probes"))):
            record = _record(run, "hypothesis", index, offset, masker, phase)
            found.append(_probe(record, phase))
    return tuple(found)


def _probe(record: ActivityRecord, phase: PhaseName) -> ProbeResult:
    name = record.activity.name
    if record.status is not ActivityStatus.SUCCEEDED:
        reason = record.error or str(record.status)
        verdict = Verdict.DEVIATED if record.unreachable else Verdict.INCONCLUSIVE
        return ProbeResult(name, phase, verdict, reason, record)
    if record.tolerance_met is None:
        reason = "it was not held against a tolerance"
        return ProbeResult(name, phase, Verdict.INCONCLUSIVE, reason, record)
    reason = "within its tolerance" if record.tolerance_met else "not within its tolerance"
    verdict = Verdict.MET if record.tolerance_met else Verdict.DEVIATED
    return ProbeResult(name, phase, verdict, reason, record)


def _runs(value: Any) -> Sequence[Mapping[str, Any]]:
    return [run for run in value or [] if isinstance(run, Mapping) and run.get("activity")]


def _record(
    run: Mapping[str, Any],
    section: Section,
    index: int,
    offset: float,
    masker: Masker,
    phase: PhaseName | None = None,
) -> ActivityRecord:
    declared = run["activity"]
    tolerance = run.get("tolerance_met")
    error = _error(run) or _failure(declared, run.get("output"))
    return ActivityRecord(
        activity=Activity(
            key=f"{section}[{index}]",
            kind="action" if declared.get("type") == "action" else "probe",
            name=str(declared.get("name", "")),
            provider=masker.data(_plain(declared.get("provider") or {})),
            background=bool(declared.get("background")),
            has_tolerance="tolerance" in declared,
        ),
        section=section,
        status=ActivityStatus.FAILED if error else _status(run.get("status")),
        start=moment(run.get("start"), offset),
        end=moment(run.get("end") or run.get("start"), offset),
        output=masker.data(_plain(run.get("output"))),
        error=None if error is None else masker.text(error),
        tolerance_met=tolerance if isinstance(tolerance, bool) else None,
        unreachable=error is not None and any(sign in error for sign in _UNREACHABLE),
        phase=phase,
    )


#: How the errors of requests and of the standard library begin where nobody answered.
_UNREACHABLE = (
    "ConnectionError",
    "ConnectionRefused",
    "ConnectTimeout",
    "ReadTimeout",
    "TimeoutError",
)


def _status(text: Any) -> ActivityStatus:
    try:
        return ActivityStatus(str(text))
    except ValueError:
        return ActivityStatus.FAILED


def _error(run: Mapping[str, Any]) -> str | None:
    """The last line of what the Chaos Toolkit says of an exception."""
    said = run.get("exception")
    if not said:
        return None
    lines = said if isinstance(said, list) else [str(said)]
    return " ".join(str(lines[-1]).split())


def _failure(declared: Mapping[str, Any], output: Any) -> str | None:
    """What the Chaos Toolkit takes for a success of an action although nothing was done."""
    if declared.get("type") != "action" or not isinstance(output, Mapping):
        return None
    kind, status = (declared.get("provider") or {}).get("type"), output.get("status")
    if not isinstance(status, int):
        return None
    if kind == "process" and status != 0:
        return f"exit code {status}"
    if kind == "http" and status >= 400:
        return f"HTTP status {status}"
    return None


def moment(text: Any, offset: float) -> float:
    """A journal's time (ISO 8601, UTC where it names no zone) on Prometheus's clock; 0 if there is none."""
    if not text:
        return 0.0
    read = datetime.fromisoformat(str(text))
    zoned = read if read.tzinfo else read.replace(tzinfo=UTC)
    return round(zoned.timestamp() + offset, 3)
