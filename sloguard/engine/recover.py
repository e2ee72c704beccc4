"""Finishing what a killed run has left: its processes ended, its faults undone, its rollbacks run.

Safe to call at any time, again, and twice at once: live runs are left alone, each dead one is locked
while it is worked on, and undoing is idempotent.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sloguard.core.document import document
from sloguard.core.events import Event, Note, RunEnded
from sloguard.core.masking import MASK
from sloguard.core.model import Activity, ActivityStatus, Experiment, FaultRecord, Json, Outcome
from sloguard.core.outcome import RunFacts, conclude
from sloguard.engine.activities import Activities
from sloguard.engine.control import Control
from sloguard.engine.controls import Controls
from sloguard.engine.ledger import Injected
from sloguard.engine.loop import Work
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.engine.session import Session
from sloguard.engine.undo import by_hand, left_rollback, undoing, undoing_last
from sloguard.host.marks import processes_of
from sloguard.host.signals import end
from sloguard.ports import Held, Runs, UnfinishedRun
from sloguard.spec.substitution import braced_names, substitute

log = logging.getLogger(__name__)

#: Reads an experiment, from its file or from the document that was kept of it, with the variables that
#: ``--var`` gave; ``spec.load``, wired. Whatever it raises means that it cannot be read.
Load = Callable[[str | Mapping[str, Any], Mapping[str, Any]], Experiment]

INTERRUPTED = "interrupted"


def recover(
    runs: Runs,
    ports: Ports,
    load: Load,
    options: Options | None = None,
    *,
    left_too: bool = False,
    over: Collection[str] = (),
) -> Generator[Event, None, None]:
    """Finish every dead run; one RunEnded each, nothing at all where there is none.

    ``left_too``: try once more what runs that ended not-restored have left. ``over``: runs of a process
    that lives whose generator was closed before its end, as their owner knows; the store does not. The
    events belong to several runs, so they are for people and logs; what counts is closed in the store by this.
    """
    seen = _open(runs, left_too=left_too, over=over)
    for run in seen:
        try:
            ports.locks.acquire([f"run:{run.id}"], f"recovery of run {run.id}")
        except Held as error:
            yield Note(ports.clock.now(), "info", f"run {run.id} is being recovered: {error}")
            continue
        try:
            # Nobody else has finished it between the look and the lock.
            if run.id in [r.id for r in _open(runs, left_too=left_too, over=over)]:
                yield from _told(_Recovery(run, runs, ports, load, options or Options()))
        finally:
            ports.locks.release()


def _open(runs: Runs, *, left_too: bool, over: Collection[str]) -> list[UnfinishedRun]:
    found = [run for run in runs.unfinished() if not run.alive or run.id in over]
    return [*found, *(runs.not_restored() if left_too else ())]


def _told(made: _Recovery) -> Generator[Event, None, None]:
    work = made.whole()
    try:
        for item in work:
            if item is None:
                yield from made.session.turn()
            else:
                yield item
    finally:
        work.close()


class _Recovery:
    """One dead run."""

    def __init__(
        self, run: UnfinishedRun, runs: Runs, ports: Ports, load: Load, options: Options
    ) -> None:
        self._run, self._runs, self._load = run, runs, load
        self._problems: list[str] = []
        self._secret_names = _secret_names(run.resolved or run.document)
        found = self._experiment()
        # Controls were told of the beginning by another process; half of the story is no use to them.
        self._unread = found is None and _declared_rollbacks(run.document)
        experiment = replace(found, controls=()) if found else Experiment(title=run.title)
        self._probes = experiment.probes
        rollbacks = experiment.rollbacks if run.began_method else ()
        experiment = replace(
            experiment,
            rollbacks=tuple(replace(a, controls=()) for a in rollbacks),
            probes=(),
            declared={},
        )
        self.session = Session(experiment, ports, replace(options, run=run.id), Control())

    def whole(self) -> Work[None]:
        session, run, ledger = self.session, self._run, self.session.ports.ledger
        yield Note(session.now(), "warning", f"run {run.id} ({run.title}) was {INTERRUPTED}")
        for problem in self._problems:
            session.say("warning", problem)
        activities = dict(ledger.activities(run.id))
        yield from self._reap(activities)
        session.injected = [Injected.read(intent) for intent in ledger.open_intents(run.id)]
        session.rolled_back = {
            key for key, status in activities.items() if status == ActivityStatus.SUCCEEDED
        }
        session.method_begun = run.began_method
        yield from self._leave_what_cannot_be_run()
        controls = Controls(session)
        yield from undoing(session, Activities(session, controls), controls)
        yield from undoing_last(session, patient=True)
        yield from session.drain()
        yield from self._close()

    def _close(self) -> Iterator[Event]:
        session, run = self.session, self._run
        facts = RunFacts(
            experiment=run.title,
            run=run.id,
            activities=tuple(session.records),
            faults=tuple(session.faults.values()),
            aborted=INTERRUPTED,
            notes=tuple(session.notes),
        )
        conclusion = conclude(facts)
        reason = session.masker.text(conclusion.reason)
        self._runs.close(run.id, str(conclusion.outcome), reason, facts.faults)
        made = session.masker.data(document(facts))
        yield RunEnded(session.now(), run.id, Outcome(conclusion.outcome), reason, made, None)

    def _reap(self, activities: Mapping[str, str]) -> Work[None]:
        """End the processes of activities that had begun and not ended.

        What an activity that ended has left running, it may have meant to.
        """
        keys = [key for key, status in activities.items() if status == "begun"]
        keys += [probe.key for probe in self._probes]
        for key in keys:
            ended = yield from self.session.attempt(functools.partial(self._end, key), "orphans")
            if ended:
                self.session.say("info", f"{key}: ended {', '.join(ended)}")

    def _end(self, key: str) -> Sequence[str]:
        return [str(identity) for identity in end(processes_of(self._run.id, key))]

    def _leave_what_cannot_be_run(self) -> Iterator[Event]:
        """Rollbacks that need a secret which was not kept, or that nobody can read any more."""
        session = self.session
        experiment = session.experiment
        for activity in experiment.rollbacks:
            provider = substitute(activity.provider, experiment.configuration, experiment.secrets)
            if activity.key in session.rolled_back:
                continue
            if _holds_mask(provider) or _names(provider) & self._secret_names:
                session.rolled_back.add(activity.key)
                why = "it needs a secret, and secrets are not kept with a run"
                yield session.tell(left_rollback(activity, why))
        if self._unread and self._run.began_method:
            for index, declared in enumerate(self._unread):
                key = f"rollbacks[{index}]"
                if key not in session.rolled_back:
                    yield session.tell(_unreadable(key, declared))

    # The experiment as it was.

    def _experiment(self) -> Experiment | None:
        """As it was kept, with the configuration of that run; its file is asked for secrets alone.

        The file, or the environment, may say something else today; a rollback must not.
        """
        run = self._run
        kept = dict(run.resolved or run.document)
        if not kept:
            return None
        name = f"the experiment kept with run {run.id}"
        found = self._loaded(kept, name)
        if found is None and "secrets" in kept:
            # A secret that cannot be found today stops only the rollbacks that need it.
            found = self._loaded({k: v for k, v in kept.items() if k != "secrets"}, name)
        if found is None or not self._lacks_secrets(found):
            return found
        fresh = self._loaded(run.source, run.source) if run.source else None
        return found if fresh is None else _with_secrets(found, fresh)

    def _lacks_secrets(self, found: Experiment) -> bool:
        rollbacks = [r.provider for r in found.rollbacks]
        needed = bool(_names(rollbacks) & self._secret_names)
        unknown = not found.secrets or _holds_mask(found.secrets)
        return _holds_mask(rollbacks) or (needed and unknown)

    def _loaded(self, source: str | Mapping[str, Any], name: str) -> Experiment | None:
        try:
            return self._load(source, self._run.variables)
        except Exception as error:  # whatever a file says today, the undo must go on
            log.debug("loading %s", name, exc_info=True)
            said = str(error).splitlines() or [type(error).__name__]
            self._problems.append(f"{name} cannot be read: {said[0]}")
            return None


def _with_secrets(kept: Experiment, fresh: Experiment) -> Experiment:
    """The kept experiment with the file's secrets; rollbacks that held a literal one from the file too,
    where they are the same but for it."""
    by_key = {rollback.key: rollback for rollback in fresh.rollbacks}

    def whole(rollback: Activity) -> Activity:
        other = by_key.get(rollback.key)
        if other is None or not _holds_mask(rollback.provider):
            return rollback
        filled = substitute(other.provider, kept.configuration, None)
        return other if _same(filled, rollback.provider) else rollback

    return replace(
        kept,
        secrets=fresh.secrets,
        rollbacks=tuple(whole(rollback) for rollback in kept.rollbacks),
    )


def _declared_rollbacks(kept: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [a for a in kept.get("rollbacks") or [] if isinstance(a, Mapping)]


def _secret_names(kept: Mapping[str, Any]) -> set[str]:
    """Every name of every group."""
    groups = (kept.get("secrets") or {}).values()
    return {str(name) for group in groups if isinstance(group, Mapping) for name in group}


def _names(value: Json) -> set[str]:
    """The ``${names}`` that were not filled in, anywhere inside."""
    if isinstance(value, str):
        return set(braced_names(value))
    if isinstance(value, Mapping):
        return set().union(*map(_names, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_names, value))
    return set()


def _unreadable(key: str, declared: Mapping[str, Any]) -> FaultRecord:
    provider = declared.get("provider") or {}
    activity = Activity(key, "action", str(declared.get("name") or key), provider)
    record = left_rollback(activity, "the experiment cannot be read any more")
    return replace(record, by_hand=by_hand(provider))


def _holds_mask(value: Json) -> bool:
    if isinstance(value, str):
        return MASK in value
    if isinstance(value, Mapping):
        return any(map(_holds_mask, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_mask, value))
    return False


def _same(now: Json, kept: Json) -> bool:
    """Whether a document is what was kept of it; what was masked fits anything."""
    if isinstance(kept, str) and MASK in kept:
        return True
    if isinstance(kept, Mapping) and isinstance(now, Mapping):
        return now.keys() == kept.keys() and all(_same(now[k], kept[k]) for k in kept)
    if isinstance(kept, list | tuple) and isinstance(now, list | tuple):
        return len(now) == len(kept) and all(map(_same, now, kept))
    return bool(now == kept)
