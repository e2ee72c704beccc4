"""What a worker does with a job, in this very process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.clock import SystemClock
from sloguard.adapters.locks import FileLocks
from sloguard.adapters.store import Store, StoreUnreachable
from sloguard.core.events import Event
from sloguard.core.model import Outcome
from sloguard.engine.control import Control
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.ports import Held, MetricsUnreachable
from sloguard.ports.service import JobState, WindowOver, WindowState
from sloguard.service.catalogue import NotUsable, UnknownExperiment
from sloguard.service.recording import Patient
from sloguard.service.urls import UrlRules
from sloguard.service.worker import Bench, carry_out
from tests.fakes.clock import FakeClock
from tests.fakes.metrics import FakeMetrics
from tests.support import runs as made
from tests.support.service_lab import ServiceLab, stopping
from tests.support.victims import Victims, is_stopped, victims_in

QUERY = "shop_error_ratio"
SLOS = {
    "title": "The shop",
    "phases": {"before": "60s", "during": "30s", "after": "60s"},
    "slos": [{"name": "errors", "query": QUERY, "objective": "< 10%"}],
}


class Work(ServiceLab):
    """Workers in this process, with a Prometheus that holds one curve."""

    metrics: FakeMetrics

    def forget(self) -> None:
        """Look at the files again: otherwise the catalogue does so once a second."""
        self.catalogue = type(self.catalogue)(
            [self.experiments], allow={str(self.experiments): "process"}, slos=self.slos
        )
        self.desk = replace(self.desk, catalogue=self.catalogue)

    def bench(self, **more: Any) -> Bench:
        locks = FileLocks(self.home / "locks")
        given: dict[str, Any] = {
            "store": self.opened,
            "catalogue": self.catalogue,
            "ports": lambda _metrics: Ports(None, SystemClock(), self.opened, locks),
            "metrics": lambda: self.metrics,
            "clock": FakeClock(time.time()),
            "options": lambda **chosen: Options(**{"metrics_patience": 5.0, **chosen}),
            "allow_url": UrlRules([]),
            "patience": 3.0,
        }
        return Bench(**{**given, **more})

    def claimed(self, id: str) -> str:
        job = self.opened.claim("here", limit=9)
        assert job is not None
        assert job.id == id
        return job.claim

    def carry_out(self, id: str, control: Control | None = None, **more: Any) -> int:
        return carry_out(id, self.claimed(id), self.bench(**more), control or Control())


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    lab = Work(tmp_path, str(tmp_path / "runs.db"))
    lab.metrics = FakeMetrics()
    (lab.slos / "shop.json").write_text(json.dumps(SLOS))
    yield lab
    lab.close()


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Victims]:
    with victims_in(tmp_path) as some:
        yield some


def test_a_run_is_kept_as_any_other(work: Work, victims: Victims) -> None:
    (victim,) = victims.start()
    work.write("shop", stopping(victims.word, tags=["a"]))
    id = work.submit("shop", tags=["b", "a"], seed=7)
    assert work.carry_out(id) == 0
    run = work.opened.run(id)
    assert (run.outcome, run.experiment, run.kind, run.tags) == (
        Outcome.MET,
        "shop",
        "run",
        ("a", "b"),
    )
    assert [fault.status for fault in run.faults] == ["undone"]
    assert not is_stopped(victim)
    job = work.job(id)
    assert (job.state, job.exit_code, job.alive) == (JobState.ENDED, 0, False)


def test_a_dry_run_plans_and_touches_nothing(work: Work, victims: Victims) -> None:
    (victim,) = victims.start()
    work.write("shop", stopping(victims.word))
    id = work.submit("shop", dry_run=True)
    assert work.carry_out(id) == 0
    result = work.job(id).result
    assert result["could_start"] is True
    assert str(victim.pid) in json.dumps(result)
    assert {"name", "ok", "message"} <= set(result["checks"][0])
    assert work.opened.runs() == ()
    assert work.opened.ledger(id) == ()
    work.write("shop", stopping("nobody-is-called-so"))
    work.forget()
    id = work.submit("shop", dry_run=True)
    assert work.carry_out(id) == 12
    assert work.job(id).result["could_start"] is False


class Busy:
    """ports.Locks of a target on which another run is, as often as ``times`` says."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.taken: list[str] = []

    def acquire(self, keys: Iterable[str], holder: str) -> None:
        """Taken, so many times."""
        if self.times:
            self.times -= 1
            raise Held("host:here/processes", "run R1 (A replica dies)")
        self.taken.append(holder)

    def release(self) -> None:
        """Nothing is kept."""


def test_a_run_waits_in_the_queue_while_another_one_is_on_its_target(
    work: Work, victims: Victims
) -> None:
    (victim,) = victims.start()
    work.write("shop", stopping(victims.word))
    locks, clock, told = Busy(2), FakeClock(time.time()), []

    class Teller:
        """Would tell others of the run."""

        def around(self, keep: Any) -> list[Any]:
            return [keep, told.append]

        def flush(self, _seconds: float) -> None:
            """Nothing waits."""

    ports = Ports(None, SystemClock(), work.opened, locks)
    given: dict[str, Any] = {"ports": lambda _metrics: ports, "clock": clock}
    plan = work.submit("shop", dry_run=True)
    assert work.carry_out(plan, **given) == 0
    result = work.job(plan).result
    assert result["could_start"] is True
    assert "would wait in the queue" in json.dumps(result["notes"])
    assert {check["ok"] for check in result["checks"]} == {True, None}
    id = work.submit("shop")
    given["announcers"] = lambda **_: Teller()
    assert work.carry_out(id, **given) == 0
    job = work.job(id)
    assert (job.state, job.attempts, job.exit_code) == (JobState.QUEUED, 0, None)
    assert "another run is on its target" in job.detail
    assert "run R1 (A replica dies)" in job.detail
    assert job.not_before >= clock.now() + 5.0
    assert (work.opened.runs(), work.opened.ledger(id), told) == ((), (), [])
    assert not is_stopped(victim)
    assert work.opened.claim("here", limit=9) is None
    with Store(work.store, now=lambda: job.not_before) as later:
        claimed = later.claim("here", limit=9)
    assert claimed is not None
    assert carry_out(id, claimed.claim, work.bench(**given), Control()) == 0
    run = work.opened.run(id)
    assert (run.outcome, [fault.status for fault in run.faults]) == (Outcome.MET, ["undone"])
    assert [type(event).__name__ for event in told[:2]] == ["RunStarted", "Preflight"]
    assert locks.taken


def test_experiments_of_one_declared_target_run_one_at_a_time(work: Work) -> None:
    for name in ("front", "back"):
        work.write(name, stopping("x"))
    work.desk = replace(work.desk, targets={f"{work.experiments}/": "shop"})
    first, second = work.submit("front"), work.submit("back")
    plan = work.submit("back", dry_run=True)
    claimed = [work.opened.claim("here", limit=9) for _ in range(3)]
    assert [job and job.id for job in claimed] == [first, plan, None]
    work.opened.job_ended(first, JobState.ENDED)
    after = work.opened.claim("here", limit=9)
    assert after is not None
    assert after.id == second


def test_a_run_that_is_stopped_while_it_looks_does_not_wait(work: Work, victims: Victims) -> None:
    victims.start()
    work.write("shop", stopping(victims.word))
    control = Control()

    class Late(Busy):
        """Somebody stops the run while it finds its target taken."""

        def acquire(self, keys: Iterable[str], holder: str) -> None:
            control.abort("not any more")
            super().acquire(keys, holder)

    ports = Ports(None, SystemClock(), work.opened, Late(9))
    id = work.submit("shop")
    assert work.carry_out(id, control, ports=lambda _metrics: ports) == 12
    assert work.opened.run(id).outcome is Outcome.NOT_STARTED
    assert work.job(id).state is JobState.ENDED


def test_what_cannot_be_loaded_any_more_fails_and_says_why(work: Work) -> None:
    work.write("shop", stopping("x"))
    ids = [work.submit("shop") for _ in range(2)]
    strict = replace(work.bench(), catalogue=type(work.catalogue)([work.experiments]))
    first = work.opened.claim("here", limit=1)
    assert first is not None
    assert carry_out(first.id, first.claim, strict, Control()) == 2
    job = work.job(ids[0])
    assert (job.state, job.exit_code) == (JobState.FAILED, 2)
    assert "needs the permission 'process'" in job.detail
    (work.experiments / "shop.json").unlink()
    work.forget()
    assert work.carry_out(ids[1]) == 2
    assert "there is no experiment 'shop'" in work.job(ids[1]).detail
    assert work.opened.runs() == ()


def test_a_lost_claim_does_nothing(work: Work, victims: Victims) -> None:
    (victim,) = victims.start()
    work.write("shop", stopping(victims.word))
    id = work.submit("shop")
    claim = work.claimed(id)
    work.opened.requeue(id, claim, "taken away")
    assert carry_out(id, claim, work.bench(), Control()) == 0
    assert carry_out("unknown", claim, work.bench(), Control()) == 0
    assert (work.job(id).state, work.opened.runs()) == (JobState.QUEUED, ())
    assert not is_stopped(victim)


def test_who_asks_for_an_abort_before_the_start_is_heard(work: Work, victims: Victims) -> None:
    (victim,) = victims.start()
    phases = {"before": "0s", "during": "30s", "after": "0s"}
    work.write("shop", stopping(victims.word, phases=phases))
    id = work.submit("shop")
    claim = work.claimed(id)
    assert work.desk.abort(id, by="user:ada")
    assert carry_out(id, claim, work.bench(), Control()) in (12, 13)
    assert work.opened.run(id).reason.endswith("stopped by user:ada")
    assert not is_stopped(victim)


def test_http_providers_keep_to_the_operators_list(work: Work, victims: Victims) -> None:
    victims.start()
    probe = {
        "type": "probe",
        "name": "asks",
        "tolerance": 200,
        "provider": {"type": "http", "url": "http://127.0.0.1:9/x"},
    }
    hypothesis = {"title": "It answers", "probes": [probe]}
    work.write("shop", stopping(victims.word, **{"steady-state-hypothesis": hypothesis}))
    id = work.submit("shop")
    assert work.carry_out(id) == 12
    assert "serve.allow_urls" in json.dumps(work.opened.run(id).document)


# Windows and judging again.


def window(work: Work, errors_until: float = 0.0, **more: Any) -> str:
    """One that has been over for long: its fault came 300 s ago and stayed for 30 s."""
    now = time.time()
    fault = round(now - 300)
    work.metrics.add(QUERY, lambda at: 0.5 if fault <= at < fault + errors_until else 0.0)
    opened, _ = work.windows.open(slos="shop", fault_at=fault, tool="litmus", tags=["x"], **more)
    work.windows.close(opened.id, restored_at=fault + 30, detail="the pod is back", by="token:ci")
    return opened.id


def test_a_closed_window_is_a_run_like_any_other(work: Work) -> None:
    id = window(work, errors_until=20, title="A game day")
    assert work.carry_out(id) == 10
    run = work.opened.run(id)
    assert (run.title, run.kind, run.experiment, run.outcome) == (
        "A game day",
        "window",
        "shop",
        Outcome.DEVIATED,
    )
    assert run.tags == ("x",)
    assert run.timeline is not None
    assert round(run.timeline.restored - run.timeline.fault) == 30
    assert run.document is not None
    assert "the pod is back" in run.document["notes"]
    (evidence,) = work.opened.evidence(id)
    assert evidence.slo.name == "errors"
    kinds = [event.kind for event in work.opened.events(id)]
    assert kinds[0] == "RunStarted"
    assert kinds[-1] == "RunEnded"
    assert work.job(id).state is JobState.ENDED


def test_lengths_of_the_window_go_before_those_of_the_set(work: Work) -> None:
    id = window(work, before=10.0, after=20.0)
    work.carry_out(id)
    run = work.opened.run(id)
    assert run.timeline is not None
    assert round(run.timeline.fault - run.timeline.start) == 10
    assert round(run.timeline.end - run.timeline.restored) == 20
    assert run.resolved["phases"] == {"before": "10.0s", "during": "30.0s", "after": "20.0s"}


def test_a_window_that_nobody_closed_is_no_proof(work: Work) -> None:
    work.metrics.add(QUERY, 0.0)
    opened, _ = work.windows.open(slos="shop", fault_at=time.time() - 500, longest=0.0)
    assert work.windows.expire() == 1
    assert work.windows.expire() == 0
    found = work.opened.window(opened.id)
    assert found is not None
    assert found.state is WindowState.EXPIRED
    job = work.opened.job(opened.id)
    assert job is not None
    # Judged once what comes after is there.
    assert job.not_before > time.time()
    later = work.opened.claim("here", limit=1)
    assert later is None


def test_an_expired_window_ends_inconclusive(work: Work) -> None:
    id = window(work)
    kept = work.opened.window(id)
    assert kept is not None

    class Expired:
        def __getattr__(self, name: str) -> Any:
            return getattr(work.opened, name)

        def window(self, _id: str) -> Any:
            return replace(kept, state=WindowState.EXPIRED)

    assert work.carry_out(id, store=Expired()) == 11
    assert "nobody closed it" in work.opened.run(id).reason


def test_a_prometheus_that_is_away_is_waited_for(work: Work) -> None:
    id = window(work)
    work.metrics.fail(MetricsUnreachable("away"), times=2)
    assert work.carry_out(id) == 0


def test_evidence_is_judged_again_by_other_slos(work: Work) -> None:
    origin = window(work, errors_until=20)
    work.carry_out(origin)
    again, created = work.desk.submit_rejudge(origin)
    assert created
    assert work.carry_out(again.id) == 10
    loose = [{**SLOS["slos"][0], "objective": "< 60%"}]  # type: ignore[index]
    other, _ = work.desk.submit_rejudge(origin[:-2], definition={**SLOS, "slos": loose})
    assert work.carry_out(other.id) == 0
    run = work.opened.run(other.id)
    assert (run.kind, run.origin, run.outcome) == ("rejudge", origin, Outcome.MET)
    assert len(work.opened.evidence(other.id)) == 1
    assert work.opened.run(origin).outcome is Outcome.DEVIATED
    with pytest.raises(NotUsable, match="cannot be used"):
        work.desk.submit_rejudge(origin, definition={"slos": [{"name": "x"}]})
    with pytest.raises(UnknownExperiment):
        work.desk.submit_rejudge(origin, slos="none")


def test_what_has_no_samples_cannot_be_judged_again(work: Work) -> None:
    for event in made.opening("r1"):
        work.opened.record(event)
    job, _ = work.desk.submit_rejudge("r1")
    assert work.carry_out(job.id) == 2
    assert "has no samples to judge" in work.job(job.id).detail


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"fault_at": 4e9}, "has not come yet"),
        ({"fault_at": float("nan")}, "expected a time"),
        ({"before": -1.0}, "before: expected"),
        ({"longest": float("inf")}, "longest: expected"),
        ({"tags": ["x"] * 3 + [str(n) for n in range(30)]}, "tags: expected"),
    ],
    ids=str,
)
def test_windows_that_make_no_sense(work: Work, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(NotUsable, match=said):
        work.windows.open(slos="shop", **asked)
    assert work.opened.windows() == ()


def test_closing_again(work: Work) -> None:
    opened, _ = work.windows.open(slos="shop")
    with pytest.raises(NotUsable, match="after the fault's"):
        work.windows.close(opened.id, restored_at=opened.fault_at - 1)
    closed = work.windows.close(opened.id)
    assert work.windows.close(opened.id) == closed
    with pytest.raises(WindowOver):
        work.windows.close(opened.id, restored_at=opened.fault_at + 50)
    assert len(work.opened.jobs()) == 1


# A store that is away.


class Flaky:
    """Keeps events, but for some calls."""

    def __init__(self, fail: set[int]) -> None:
        self.kept: list[Event] = []
        self.calls, self.fail = 0, fail

    def __call__(self, event: Event) -> None:
        self.calls += 1
        if self.calls in self.fail:
            raise StoreUnreachable("gone for a moment")
        self.kept.append(event)


def test_events_wait_for_the_store_in_their_order() -> None:
    story = made.whole()
    clock = FakeClock()
    for failing in ({1}, {3, 4}, set(range(5, 12)), {len(story)}):
        store = Flaky(failing)
        patient = Patient(store, monotonic=clock.monotonic, sleep=clock.advance)
        for event in story:
            clock.advance(0.5)
            patient.record(event)
        assert patient.flush(60)
        assert patient.waiting == 0
        lost = [type(e).__name__ for e in story if e not in store.kept]
        assert set(lost) <= {"Observed"}
        assert store.kept == [e for e in story if e in store.kept]


def test_a_store_that_stays_away_is_given_up() -> None:
    clock = FakeClock()
    patient = Patient(Flaky(set(range(1, 1000))), monotonic=clock.monotonic, sleep=clock.advance)
    for event in made.whole():
        patient.record(event)
    assert not patient.flush(30)
    assert 30 <= clock.monotonic() < 40


def test_a_store_that_is_away_in_the_middle_costs_nothing(work: Work, victims: Victims) -> None:
    (victim,) = victims.start()
    work.write("shop", stopping(victims.word))
    id = work.submit("shop")
    recorder = work.opened.recorder(experiment="shop")
    calls = iter(range(1000))

    class Away:
        def __getattr__(self, name: str) -> Any:
            return getattr(work.opened, name)

        def recorder(self, **_what: str) -> Any:
            return self

        def record(self, event: Event) -> None:
            if 4 <= next(calls) <= 6:
                raise StoreUnreachable("gone for a moment")
            recorder.record(event)

    assert work.carry_out(id, store=Away(), patience=20.0) == 0
    run = work.opened.run(id)
    assert (run.outcome, [f.status for f in run.faults]) == (Outcome.MET, ["undone"])
    assert [e.kind for e in work.opened.events(id)][-1] == "RunEnded"
    assert not is_stopped(victim)
