"""What the janitor and the dispatcher do with what is dead, late, old or cannot be started."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.host.identity import Identity, Machine, identify
from sloguard.ports import Intent
from sloguard.ports.service import AuditEntry, JobRequest, JobState, ServiceError, Window
from sloguard.service.catalogue import Catalogue
from sloguard.service.executor import Dispatcher, LocalExecutor
from sloguard.service.starting import Janitor, Retention
from sloguard.service.windows import WindowDesk
from tests.support import runs as made
from tests.support.calling import eventually

FAR = Identity(1, 1, "", Machine("far", "another-boot", "pid:[1]"))
NOTES = "import sys; open(sys.argv[1], 'a').write(' '.join(sys.argv[2:]) + '.')"


class House:
    """A store, a clock that is turned by hand, and a janitor whose recovery only notes that it was called."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.at = folder, url, 1000.0
        self.store = self.seen_by(myself())
        self.janitors: list[Janitor] = []

    def seen_by(self, process: Identity) -> Store:
        return Store(self.url, now=lambda: self.at, process=lambda: process)

    def janitor(self, name: str = "a", **more: Any) -> Janitor:
        desk = WindowDesk(
            windows=self.store,
            catalogue=Catalogue([]),
            new_id=lambda: "unused",
            longest=60,
            settle=1,
            now=lambda: self.at,
        )
        janitor = Janitor(
            self.store,
            desk,
            name=name,
            recovery=[sys.executable, "-c", NOTES, str(self.notes)],
            now=lambda: self.at,
            monotonic=lambda: self.at,
            **more,
        )
        self.janitors.append(janitor)
        return janitor

    @property
    def notes(self) -> Path:
        return self.folder / "called"

    def called(self) -> str:
        return self.notes.read_text() if self.notes.exists() else ""

    def claimed(self, id: str, process: Identity, *, started: bool = False) -> None:
        """A job that this process has."""
        with self.seen_by(process) as store:
            store.enqueue(JobRequest(id=id, experiment=id, exclusive=id))
            job = store.claim(id, limit=1)
            assert job is not None
            if started:
                assert store.job_started(id, job.claim)

    def state(self, id: str) -> JobState:
        job = self.store.job(id)
        assert job is not None
        return job.state

    def run(self, id: str, process: Identity, *, ended: bool = True) -> None:
        """A run of this process in the store."""
        with self.seen_by(process) as store:
            for event in made.whole(id) if ended else made.opening(id):
                store.record(event)


def myself() -> Identity:
    found = identify(os.getpid())
    assert found is not None
    return found


def gone() -> Identity:
    """A process of this machine that has ended."""
    me = myself()
    return Identity(me.pid, me.started + 1, "", me.machine)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made_house = House(tmp_path, str(tmp_path / "runs.db"))
    yield made_house
    eventually(lambda: not any(janitor.recovering for janitor in made_house.janitors))
    made_house.store.dispose()


def test_what_was_taken_and_never_begun_goes_back(house: House) -> None:
    house.claimed("dead", gone())
    house.claimed("alive", myself())
    house.claimed("no-run", gone(), started=True)
    house.janitor().turn()
    assert house.state("dead") is JobState.QUEUED
    assert house.state("alive") is JobState.STARTING
    assert house.state("no-run") is JobState.QUEUED


def test_it_does_not_go_back_for_ever(house: House) -> None:
    house.claimed("dead", gone())
    for _ in range(2):
        house.janitor().turn()
        with house.seen_by(gone()) as store:
            assert store.claim("x", limit=1)
    house.janitor().turn()
    job = house.store.job("dead")
    assert job is not None
    assert (job.state, job.exit_code) == (JobState.FAILED, 1)
    assert job.detail.startswith("tried 3 times")


def test_what_was_to_be_stopped_does_not_go_back(house: House) -> None:
    house.claimed("dead", gone())
    house.store.ask_abort("dead", "not needed", "user:ada")
    house.janitor().turn()
    assert house.state("dead") is JobState.CANCELLED


def test_a_job_whose_run_has_ended_has_ended(house: House) -> None:
    house.claimed("r1", gone(), started=True)
    house.run("r1", gone())
    house.janitor().turn()
    job = house.store.job("r1")
    assert job is not None
    assert (job.state, job.exit_code) == (JobState.ENDED, 10)
    assert house.called() == ""


def test_dead_runs_are_recovered_and_living_ones_left(house: House) -> None:
    house.run("r1", myself(), ended=False)
    janitor = house.janitor()
    janitor.turn()
    assert not janitor.recovering
    house.run("r2", gone(), ended=False)
    janitor.turn()
    eventually(house.called)
    assert house.called() == "."


def test_silence_elsewhere_is_death_only_when_it_is_sure(house: House) -> None:
    house.claimed("r1", FAR, started=True)
    house.run("r1", FAR, ended=False)
    janitor = house.janitor()
    house.at += 300
    janitor.turn()
    assert house.called() == ""  # the store may have been away as long as this one
    house.at += 95
    janitor.turn()
    eventually(house.called)
    assert house.called() == "--elsewhere."


def test_a_worker_elsewhere_that_is_known_to_be_over_is_dead_at_once(house: House) -> None:
    for id in ("r1", "r2", "over"):
        house.claimed(id, FAR, started=True)
    house.run("r1", FAR, ended=False)
    house.run("r2", FAR, ended=False)
    house.run("over", FAR)
    janitor = house.janitor(gone=lambda: {"r1", "over"})
    janitor.turn()
    eventually(house.called)
    assert house.called() == "--over r1."
    assert house.state("over") is JobState.ENDED
    assert house.state("r2") is JobState.RUNNING


def test_only_one_of_several_services_sees_to_those(house: House) -> None:
    house.janitor("first").turn()
    house.claimed("r1", FAR, started=True)
    house.run("r1", FAR, ended=False)
    second = house.janitor("second", gone=lambda: {"r1"})
    second.turn()
    assert not second.recovering
    house.at += 31.0
    second.turn()
    eventually(house.called)
    assert house.called() == "--over r1."


def test_what_waits_for_a_pod_is_left_to_its_executor(house: House) -> None:
    house.claimed("r1", gone())
    house.janitor(followed="r1").turn()
    assert house.state("r1") is JobState.STARTING


def test_what_was_left_is_tried_again_when_asked(house: House) -> None:
    janitor = house.janitor()
    janitor.turn()
    house.run("r1", gone(), ended=False)
    house.store.intend(Intent("i-1", "r1", "method[0]", "processes.kill", "checkout", {}))
    house.store.close("r1", "not-restored", "left", [])
    janitor.turn()
    assert house.called() == ""
    janitor.try_again()
    janitor.turn()
    eventually(house.called)
    assert house.called() == "--left-too."


def test_after_the_store_was_away_the_silent_get_time_to_speak(house: House) -> None:
    house.run("r1", FAR, ended=False)
    janitor = house.janitor()
    janitor.turn()
    house.at += 95
    janitor.unreachable()
    janitor.turn()
    assert not janitor.recovering
    assert house.called() == ""


def test_one_of_several_leads(house: House) -> None:
    house.run("r1", FAR, ended=False)
    first, second = house.janitor("a"), house.janitor("b")
    for _ in range(12):
        first.turn()
        second.turn()
        house.at += 10
    eventually(house.called)
    assert set(house.called().strip(".").split(".")) == {"--elsewhere"}
    assert second.recovering is False


def test_what_could_not_be_undone_is_tried_again_at_the_start_only(house: House) -> None:
    from sloguard.ports import Intent

    house.run("r1", gone())
    house.store.intend(Intent("i1", "r1", "method[0]", "processes.stop", "x", {}))
    janitor = house.janitor()
    janitor.turn()
    eventually(house.called)
    assert house.called() == "--left-too."
    eventually(lambda: not janitor.recovering)
    janitor.turn()
    assert house.called() == "--left-too."


def test_windows_are_closed_in_time(house: House) -> None:
    marks = {"opened_at": 900.0, "fault_at": 900.0, "expires_at": 990.0, "after": 5.0}
    house.store.open_window(Window(id="w1", title="x", slos="none", **marks))  # type: ignore[arg-type]
    house.janitor().turn()
    found = house.store.window("w1")
    assert found is not None
    assert (str(found.state), found.restored_at) == ("expired", 990.0)
    job = house.store.job("w1")
    assert job is not None
    assert job.not_before == 996.0


def ids(house: House) -> list[str]:
    return [run.id for run in house.store.runs()]


def test_only_so_much_is_kept(house: House, tmp_path: Path) -> None:
    for n in range(4):
        house.run(f"r{n}", gone())
    house.at = made.FAULT + 5 * 86400
    house.janitor(retention=Retention()).turn()
    assert len(ids(house)) == 4
    house.janitor(retention=Retention(runs=3)).turn()
    assert ids(house) == ["r3", "r2", "r1"]
    house.janitor(retention=Retention(days=10)).turn()
    assert len(ids(house)) == 3
    house.janitor(retention=Retention(days=4)).turn()
    assert ids(house) == []
    for at in (house.at - 3 * 86400, house.at):
        house.store.append_audit(AuditEntry(at=at, who="ci", where="", action="run", target=""))
    house.janitor(retention=Retention()).turn()
    assert len(house.store.audit_entries()) == 2
    house.janitor(retention=Retention(audit_days=2)).turn()
    assert [entry.at for entry in house.store.audit_entries()] == [house.at]


def test_what_workers_have_said_is_not_kept_for_ever(house: House, tmp_path: Path) -> None:
    logs = tmp_path / "jobs"
    logs.mkdir()
    (logs / "old.log").write_text("x")
    os.utime(logs / "old.log", (1, 1))
    (logs / "new.log").write_text("x")
    house.at = (logs / "new.log").stat().st_mtime
    house.janitor(logs=logs).turn()
    assert [file.name for file in logs.glob("*.log")] == ["new.log"]


# The dispatcher.


def dispatcher(house: House, *command: str, limit: int = 2) -> Dispatcher:
    executor = LocalExecutor(command, house.folder / "jobs")
    return Dispatcher(house.store, executor, name="here", limit=limit)


def turned(made_dispatcher: Dispatcher, done: Callable[[], bool]) -> None:
    def turn() -> bool:
        made_dispatcher.turn()
        return done()

    eventually(turn)


def test_workers_that_die_at_once_are_tried_three_times(house: House) -> None:
    house.store.enqueue(JobRequest(id="j1"))
    failing = dispatcher(house, sys.executable, "-c", "import sys; sys.exit('no such thing')")
    turned(failing, lambda: house.state("j1").is_over)
    job = house.store.job("j1")
    assert job is not None
    assert (job.state, job.attempts) == (JobState.FAILED, 3)
    assert "code 1" in job.detail
    assert "no such thing" in job.detail


def test_a_worker_that_cannot_be_started_fails_its_job(house: House) -> None:
    house.store.enqueue(JobRequest(id="j1"))
    turned(dispatcher(house, "/no/such/program"), lambda: house.state("j1").is_over)
    job = house.store.job("j1")
    assert job is not None
    assert "no worker could be started" in job.detail


def test_a_worker_that_hangs_before_it_begins_makes_room(house: House) -> None:
    house.store.enqueue(JobRequest(id="j1"))
    executor = LocalExecutor(
        [sys.executable, "-c", "import time; time.sleep(60)"], house.folder / "jobs"
    )
    hanging = Dispatcher(house.store, executor, name="here", limit=1, monotonic=lambda: house.at)
    hanging.turn()
    house.store.ask_abort("j1", "too slow", "user:ada")
    assert hanging.busy
    house.at += 121
    turned(hanging, lambda: house.state("j1").is_over)
    assert house.state("j1") is JobState.CANCELLED
    assert not hanging.busy


def test_a_job_that_was_taken_and_lost_is_found_again(house: House) -> None:
    """As when the answer to a claim is lost: it is ours, and we do not know of it."""
    house.store.enqueue(JobRequest(id="j1"))
    assert house.store.claim("here", limit=1)
    idle = Dispatcher(
        house.store,
        LocalExecutor(["true"], house.folder / "jobs"),
        name="here",
        limit=1,
        monotonic=lambda: house.at,
    )
    idle.turn(take=False)
    assert house.state("j1") is JobState.STARTING
    house.at += 6
    idle.turn(take=False)
    assert house.state("j1") is JobState.QUEUED


def test_workers_know_their_claim_and_outlive_this_process_group(house: House) -> None:
    code = (
        "import os, sys; open(sys.argv[1] + '.out', 'w')"
        ".write(f\"{os.environ['SLOGUARD_JOB_CLAIM']} {os.getsid(0) == os.getpid()}\")"
    )
    job, _ = house.store.enqueue(JobRequest(id=str(house.folder / "j1").replace("/", "~")))
    taken = house.store.claim("here", limit=1)
    assert taken is not None
    executor = LocalExecutor(
        [sys.executable, "-c", code.replace("sys.argv[1]", repr(str(house.folder / "j1")))],
        house.folder / "jobs",
    )
    handle = executor.start(taken)
    eventually(lambda: not executor.alive(handle))
    assert (house.folder / "j1.out").read_text() == f"{taken.claim} True"
    assert (house.folder / "jobs" / f"{job.id}.log").stat().st_mode & 0o077 == 0
    assert executor.forget(handle) == "the worker ended with code 0"


def test_a_log_that_cannot_be_written_is_said(house: House) -> None:
    (house.folder / "jobs").write_text("a file where a directory should be")
    house.store.enqueue(JobRequest(id="j1"))
    taken = house.store.claim("here", limit=1)
    assert taken is not None
    with pytest.raises(ServiceError, match="no worker could be started"):
        LocalExecutor(["true"], house.folder / "jobs").start(taken)
