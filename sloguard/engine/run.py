"""A run, as a generator of events. Once the method has begun it always undoes, whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

from sloguard.core.events import Event, Note, RunEnded, RunStarted
from sloguard.core.model import Experiment, PhaseName
from sloguard.engine.activities import Activities
from sloguard.engine.after import watching
from sloguard.engine.alert_sources import other_sources
from sloguard.engine.alert_watch import AlertWatch
from sloguard.engine.approving import approving, somebody_to_ask
from sloguard.engine.budget_watch import guard_budgets
from sloguard.engine.conclude import collecting_all, ending, journal, settling
from sloguard.engine.control import Control
from sloguard.engine.controls import Controls
from sloguard.engine.evidence import Collected
from sloguard.engine.gate import baselines, gate, hypothesis
from sloguard.engine.loop import Background, Work
from sloguard.engine.method import playing
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.engine.preflight import preflight
from sloguard.engine.session import NotStarted, Session, Stop, Stopped
from sloguard.engine.silencing import ending_silence, making_silence
from sloguard.engine.strategy import as_asked, asking_after_failing_fast, asks
from sloguard.engine.undo import rolling_back, undoing
from sloguard.engine.watch import Watcher
from sloguard.ports.silences import Momentary
from sloguard.spec.masking import masked

log = logging.getLogger(__name__)

Consumer = Callable[[Event], object]


def run(
    experiment: Experiment,
    ports: Ports,
    options: Options | None = None,
    control: Control | None = None,
) -> Generator[Event, None, None]:
    """Run an experiment; the last event is RunEnded.

    Closing the generator, throwing into it, or an error of sloguard's own after the method has begun:
    everything is undone all the same, before this returns; where events can no longer be told, the
    ledger keeps the record. An error of sloguard's own is raised once all is undone.
    """
    yield from _driven(_Run(experiment, ports, options or Options(), control or Control()))


def drive(events: Generator[Event, None, None], consumers: Iterable[Consumer]) -> RunEnded | None:
    """Hand every event to every consumer; the RunEnded that came last.

    A consumer that raises is logged, and told to all of them as a Note when it first fails; the run goes
    on, and no verdict changes. Whatever ends this early (KeyboardInterrupt, say) closes the run first,
    which undoes.
    """
    consumers = list(consumers)
    failed: set[int] = set()
    ended: RunEnded | None = None
    try:
        for event in events:
            for note in _handed(event, consumers, failed):
                for _ in _handed(note, consumers, failed):
                    pass
            if isinstance(event, RunEnded):
                ended = event
    finally:
        events.close()
    return ended


def _handed(event: Event, consumers: list[Consumer], failed: set[int]) -> list[Note]:
    notes = []
    for number, consumer in enumerate(consumers):
        try:
            consumer(event)
        except Exception as error:  # whatever it is, it is the consumer's, not the run's
            kind = type(event).__name__
            name = getattr(consumer, "__qualname__", type(consumer).__qualname__)
            # All are told once, below: a full disk fails at every event.
            log.info("%s failed at %s", name, kind, exc_info=True)
            if number not in failed:
                failed.add(number)
                text = f"{name} failed at {kind}: {type(error).__name__}: {error}"
                notes.append(Note(event.at, "error", text))
    return notes


def _driven(made: _Run) -> Generator[Event, None, None]:
    """Turn waits into rests; undo in silence where the telling was cut off."""
    work = made.whole()
    try:
        for item in work:
            if item is None:
                yield from made.session.turn()
            else:
                yield item
    finally:
        work.close()
        _undisturbed(made)


def _undisturbed(made: _Run) -> None:
    """Finish what is left, if anything. A second Ctrl-C meanwhile does not skip it: it goes on."""
    try:
        while True:
            try:
                made.session.loop.complete(made.finishing())
                return
            except (KeyboardInterrupt, SystemExit):
                log.warning("still undoing; asked to stop again")
    finally:
        made.session.ports.locks.release()


class _Run:
    """The parts of one run, and their order."""

    def __init__(
        self, experiment: Experiment, ports: Ports, options: Options, control: Control
    ) -> None:
        self.session = Session(as_asked(experiment), ports, options, control)
        self.controls = Controls(self.session)
        self.activities = Activities(self.session, self.controls)
        self._experiment_open = False
        self._over = False
        self._refusal = ""

    def whole(self) -> Work[None]:
        """Everything, from RunStarted to RunEnded."""
        session = self.session
        resolved = masked(session.experiment)
        shown = replace(
            session.experiment,
            # A title or a tag may name a variable, and the variable be a secret.
            title=session.masker.text(session.experiment.title),
            description=session.masker.text(session.experiment.description),
            tags=tuple(session.masker.text(tag) for tag in session.experiment.tags),
            configuration=session.masker.data(session.experiment.configuration),
            secrets=session.masker.data(session.experiment.secrets),
        )
        variables = session.masker.data(session.options.variables)
        yield RunStarted(session.now(), session.run, shown, resolved, variables)
        try:
            yield from self._before()
        except NotStarted as error:
            yield from self._not_started(str(error), unmet=True)
            return
        except Stopped as error:
            yield from self._not_started(f"asked to stop before anything was injected: {error}")
            return
        yield from self._method()
        early = yield from self._after()
        yield from self._judge(early)
        yield from self.finishing()
        yield from ending(session)

    def _before(self) -> Work[None]:
        self._experiment_open = True
        somebody_to_ask(self.session)
        yield from self.controls.configure()
        yield from self.controls.apply("experiment", "before")
        yield from self._look()
        yield from approving(self.session, self._look)
        self.session.check()

    def _look(self, *, at_the_steady_state: bool = True) -> Work[None]:
        """Preflight and gate. Raises NotStarted. Done once more, without the gate or with it, where an
        approval has taken its time."""
        yield from preflight(self.session)
        self._watch()
        session = self.session
        if at_the_steady_state:
            session.probes.clear()
            asked = asks(session.experiment, PhaseName.BEFORE)
            yield from gate(session, self.activities, self.controls, ask_probes=asked)
        if session.watcher is not None:
            session.watcher.baselines = baselines(session.gate)
            guard_budgets(session, session.watcher)
        session.check()

    def _watch(self) -> None:
        session = self.session
        live = session.ports.live or session.ports.metrics
        alerting, others = session.experiment.alerts, other_sources(session)
        if alerting.abort_on or any(isinstance(source, Momentary) for source in others):
            session.alert_watch = AlertWatch(
                session.loop, live, others, alerting, session.options, self._tripped
            )
        if live is None or session.queries is None:
            return
        session.watcher = Watcher(
            session.loop,
            live,
            session.experiment.slos,
            session.experiment.guards,
            session.queries,
            session.options,
            self._tripped,
        )
        session.watcher.phase = PhaseName.BEFORE

    def _tripped(self, reason: str, blind: bool) -> None:
        self.session.stop = self.session.stop or Stop("blind" if blind else "guard", reason)

    def _not_started(self, reason: str, *, unmet: bool = False) -> Work[None]:
        """``unmet``: it is no interruption. To the Chaos Toolkit a run in which a probe said no has begun."""
        self._refusal = reason
        self._unwatch()
        session = self.session
        if session.options.toolkit.compat and (session.probes if unmet else self._experiment_open):
            yield from rolling_back(session, self.activities, self.controls)
        yield from self.finishing()
        yield from ending(self.session, reason)

    def _unwatch(self) -> None:
        watcher = self.session.watcher
        if watcher is not None:
            watcher.guarding, watcher.phase = False, None
        if self.session.alert_watch is not None:
            self.session.alert_watch.guarding = False

    def _method(self) -> Work[None]:
        session = self.session
        broken: Exception | None = None
        silencing = Background()
        silencing.start(making_silence(session))
        try:
            yield from silencing.alongside(
                playing(session, self.activities, self.controls), Stopped
            )
        except Stopped:
            yield from asking_after_failing_fast(session, self.activities, self.controls)
        except Exception as error:  # noqa: BLE001 - undone first, then raised
            broken = error
        finally:
            silencing.close()
        self._unwatch()
        yield from undoing(session, self.activities, self.controls)
        if broken is not None:
            raise broken

    def _after(self) -> Work[Collected | None]:
        session = self.session
        if session.stop is not None or session.fault is None:
            session.end = session.restored
            yield from ending_silence(session, patient=False)
            return None
        if session.watcher is not None:
            session.watcher.phase = PhaseName.AFTER
            session.watcher.start_guarding()
        if session.alert_watch is not None:
            session.alert_watch.start_guarding()
        silencing = Background()
        silencing.start(ending_silence(session, patient=False))
        try:
            return (yield from silencing.alongside(watching(session)))
        except Stopped:
            session.end = max(session.now(), session.restored or 0.0)
            return None
        finally:
            silencing.close()
            self._unwatch()

    def _judge(self, early: Collected | None) -> Work[None]:
        session = self.session
        if session.fault is None:
            return
        if early is None:
            yield from settling(session)
        # With the Chaos Toolkit's policy the last look was the one before the rollbacks.
        again = not session.options.toolkit.compat
        asked = again and asks(session.experiment, PhaseName.AFTER)
        if asked and (session.stop is None or session.stop.kind == "blind"):
            # A guard that is blind stops the method, not the question whether the probes hold.
            blind = session.set_aside()
            try:
                yield from hypothesis(session, self.activities, self.controls, PhaseName.AFTER)
            except Stopped:
                pass
            finally:
                session.take_up(blind)
        yield from collecting_all(session, early)

    def finishing(self) -> Work[None]:
        """Undo what is not undone, close the hooks, give back the locks. Can be called again."""
        session = self.session
        if self._over:
            return
        if session.method_begun:
            yield from undoing(session, self.activities, self.controls)
            yield from ending_silence(session, patient=True)
        if self._experiment_open:
            self._experiment_open = False
            state = journal(session, self._refusal)
            yield from self.controls.apply("experiment", "after", state=state, stoppable=False)
            yield from self.controls.cleanup()
        self._over = True
        session.ports.locks.release()
