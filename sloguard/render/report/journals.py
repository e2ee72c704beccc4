"""Journals of the Chaos Toolkit -> documents as far as they go: probes and activities, and no samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sloguard.core.masking import MASK, Masker
from sloguard.core.text import iso_time
from sloguard.render.report import ReportError

Json = dict[str, Any]
LIMITS = (
    "It is a journal of the Chaos Toolkit: it has no samples, so nothing is known of SLOs, recovery, error "
    "budgets and alerts; what it says stands on the probes of its hypothesis."
)
_SENTENCES = {
    "met": "every probe of the hypothesis was within its tolerance",
    "deviated": "a probe was out of its tolerance: a weakness was found",
    "inconclusive": "the journal proves nothing either way",
    "not-started": "the hypothesis did not hold before, so nothing was injected",
    "aborted": "stopped before its end; the journal does not say whether everything was undone",
}


def is_journal(data: Mapping[str, Any]) -> bool:
    """Whether it is what ``chaos run`` writes, not a verdict document."""
    return "steady_states" in data and "experiment" in data


def masked(journal: Mapping[str, Any]) -> Json:
    """The journal without the secrets that its experiment holds."""
    experiment = journal.get("experiment")
    secrets = experiment.get("secrets") if isinstance(experiment, Mapping) else None
    found: Json = Masker.of(list(_literals(secrets))).data(dict(journal))
    kept = found.get("experiment")
    if isinstance(kept, Mapping) and isinstance(kept.get("secrets"), Mapping):
        found["experiment"] = {**kept, "secrets": _hidden(kept["secrets"])}
    return found


def _literals(secrets: Any) -> Iterator[str]:
    """Values; where a secret comes from (``type: env``) is none."""
    if isinstance(secrets, Mapping):
        if not isinstance(secrets.get("type"), str):
            for value in secrets.values():
                yield from _literals(value)
    elif isinstance(secrets, list):
        for value in secrets:
            yield from _literals(value)
    elif secrets is not None and not isinstance(secrets, bool):
        yield str(secrets)


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return (
            value
            if isinstance(value.get("type"), str)
            else {k: _hidden(v) for k, v in value.items()}
        )
    return MASK


def document_of(journal: Mapping[str, Any]) -> tuple[Json, str]:
    """The document (sloguard's own where the journal brings it) and the sentence of its outcome.

    Raises ReportError for what is no journal.
    """
    own = journal.get("sloguard")
    if isinstance(own, Mapping) and own.get("outcome"):
        return dict(own), ""
    try:
        return _document(journal)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ReportError(f"the journal cannot be read: {error}") from error


def _document(journal: Mapping[str, Any]) -> tuple[Json, str]:
    states = journal.get("steady_states") or {}
    probes = [*_probes(states.get("before"), "before"), *_during(states), *_probes(states.get("after"), "after")]  # fmt: skip
    outcome, reason = _outcome(journal, states, probes)
    method, rollbacks = journal.get("run") or [], journal.get("rollbacks") or []
    experiment = journal.get("experiment") or {}
    made: Json = {
        "outcome": outcome,
        "reason": reason,
        "score": None,
        "experiment": str(experiment.get("title") or "an experiment without a title"),
        "run": "",
        "seed": None,
        "timeline": _timeline(journal, method, rollbacks) if method else None,
        "slos": [],
        "probes": probes,
        "alerts": [],
        "faults": [],
        "victims": [],
        "activities": [
            *(_activity(one, "method") for one in method),
            *(_activity(one, "rollbacks") for one in rollbacks),
        ],
        "notes": [LIMITS],
    }
    return made, _SENTENCES[outcome]


def _outcome(
    journal: Mapping[str, Any], states: Mapping[str, Any], probes: Sequence[Json]
) -> tuple[str, str]:
    status = str(journal.get("status") or "")
    before = states.get("before")
    bad = [p for p in probes if p["verdict"] != "met"]
    reason = bad[0]["reason"] if bad else ""
    if isinstance(before, Mapping) and before.get("steady_state_met") is False:
        return "not-started", reason
    if status in ("aborted", "interrupted"):
        return "aborted", f"the Chaos Toolkit says: {status}"
    if journal.get("deviated"):
        return "deviated", reason or "the Chaos Toolkit says: deviated"
    if status == "completed" and probes and not bad:
        return "met", ""
    return "inconclusive", reason or (
        "it has no probes" if not probes else f"the Chaos Toolkit says: {status or 'nothing'}"
    )


def _during(states: Mapping[str, Any]) -> Iterator[Json]:
    during = states.get("during")
    for state in during if isinstance(during, list) else [during]:
        yield from _probes(state, "during")


def _probes(state: Any, phase: str) -> Iterator[Json]:
    for one in (state.get("probes") or ()) if isinstance(state, Mapping) else ():
        name = str((one.get("activity") or {}).get("name") or "probe")
        error = _error(one)
        # The Chaos Toolkit says so too of a probe that could not answer.
        known = {"True": "met", "False": "deviated"}
        verdict = known.get(str(one.get("tolerance_met")), "inconclusive")
        shown = error or f"{_brief(one.get('output'))} is {'' if verdict == 'met' else 'not '}within the tolerance"  # fmt: skip
        yield {
            "name": name,
            "phase": phase,
            "verdict": verdict,
            "reason": f"{name}: {shown} ({phase})",
            "value": one.get("output"),
            "at": moment(one.get("start")),
        }


def _activity(one: Mapping[str, Any], section: str) -> Json:
    declared = one.get("activity") or {}
    return {
        "name": str(declared.get("name") or "activity"),
        "type": str(declared.get("type") or "action"),
        "section": section,
        "phase": None,
        "background": bool(declared.get("background")),
        "status": str(one.get("status") or ""),
        "start": moment(one.get("start")),
        "end": moment(one.get("end") or one.get("start")),
        "output": one.get("output"),
        "error": _error(one),
        "tolerance_met": one.get("tolerance_met"),
    }


def _error(one: Mapping[str, Any]) -> str | None:
    lines = one.get("exception")
    if not lines:
        return None
    text = lines if isinstance(lines, str) else str(lines[-1])
    return " ".join(text.split()) or None


def _brief(value: Any, most: int = 80) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _timeline(journal: Mapping[str, Any], method: Sequence[Any], rollbacks: Sequence[Any]) -> Json:
    last = (rollbacks or method)[-1]
    return {
        "start": moment(journal.get("start")),
        "fault": moment(method[0].get("start")),
        "restored": moment(last.get("end") or last.get("start")),
        "end": moment(journal.get("end")),
    }


def moment(value: Any) -> str:
    """A time of a journal in our own writing; one without a zone is UTC, as chaoslib has it."""
    read = datetime.fromisoformat(str(value))
    return iso_time((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
