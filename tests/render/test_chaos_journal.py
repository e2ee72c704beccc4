"""The Chaos Toolkit's journal: its keys, its readers, and what a crash leaves of it."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core import events
from sloguard.core.document import document
from sloguard.core.model import ActivityStatus, Outcome, Verdict
from sloguard.core.outcome import conclude
from sloguard.render.journal import JournalError, JournalWriter, journal_of
from tests.support import runs as made
from tests.support.runs import FAULT, RUN, SECRET

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "journal.json"


def read(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return found


def written(path: Path, announced: list[events.Event]) -> dict[str, Any]:
    writer = JournalWriter(str(path))
    for event in announced:
        writer.record(event)
    return read(path)


def ending(**facts: Any) -> list[events.Event]:
    """The verdict and the end of a run of which these facts are true."""
    verdict = facts.pop("verdict", Verdict.MET)
    done = made.facts(verdict, **facts)
    answer, outcome = document(done), conclude(done)
    return [
        events.Judged(FAULT + 122, outcome.outcome, answer),
        events.RunEnded(FAULT + 122, RUN, outcome.outcome, outcome.reason, answer, None),
    ]


def test_the_journal_is_the_golden_one(tmp_path: Path) -> None:
    found = written(tmp_path / "journal.json", made.whole())
    # What differs from machine to machine.
    assert found.pop("platform") == platform.platform()
    assert found.pop("node") == platform.node()
    # The verdict's own contract is tested elsewhere; that it is here, whole, below.
    assert found.pop("sloguard")["outcome"] == "deviated"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == read(GOLDEN)


def test_its_keys_are_those_of_chaoslib(tmp_path: Path) -> None:
    run = pytest.importorskip("chaoslib.run", reason="chaostoolkit-lib is not installed")
    theirs = run.initialize_run_journal({"title": "x"})
    ours = written(tmp_path / "journal.json", made.whole())
    # chaoslib adds the last two when a run ends.
    assert set(ours) == {*theirs, "end", "duration", "sloguard"}
    for key in ("steady_states", "run", "rollbacks", "experiment"):
        assert type(ours[key]) is type(theirs[key])
    assert set(ours["steady_states"]) == set(theirs["steady_states"])
    for entry in (*ours["run"], *ours["rollbacks"]):
        assert set(entry) - {"exception"} == {
            "activity",
            "output",
            "start",
            "status",
            "end",
            "duration",
        }
        assert datetime.fromisoformat(entry["end"]) >= datetime.fromisoformat(entry["start"])


@pytest.mark.parametrize(
    ("facts", "status", "deviated"),
    [
        ({"verdict": Verdict.MET}, "completed", False),
        ({"verdict": Verdict.DEVIATED}, "completed", True),
        ({"verdict": Verdict.INCONCLUSIVE}, "failed", False),
        ({"verdict": Verdict.MET, "not_started": "preflight said no"}, "failed", False),
        ({"verdict": Verdict.DEVIATED, "not_started": "not met before"}, "failed", True),
        ({"verdict": Verdict.MET, "aborted": "guard x tripped"}, "aborted", False),
        ({"verdict": Verdict.DEVIATED, "aborted": "guard x tripped"}, "aborted", True),
        ({"verdict": Verdict.MET, "aborted": "interrupted: killed"}, "interrupted", False),
        ({"verdict": Verdict.MET, "faults": (made.fault("left"),)}, "failed", False),
    ],
)
def test_outcomes_have_their_status(
    tmp_path: Path, facts: dict[str, Any], status: str, deviated: bool
) -> None:
    found = written(tmp_path / "j.json", [*made.opening(), *ending(**facts)])
    assert (found["status"], found["deviated"]) == (status, deviated)


def test_a_run_that_somebody_stopped_is_interrupted(tmp_path: Path) -> None:
    stop = events.Interrupted(FAULT + 3, "SIGTERM")
    found = written(tmp_path / "j.json", [*made.opening(), stop, *ending(aborted="SIGTERM")])
    assert found["status"] == "interrupted"


def test_the_states_count_slos_as_well_as_probes(tmp_path: Path) -> None:
    found = written(tmp_path / "j.json", made.whole())
    before, after = (found["steady_states"][when] for when in ("before", "after"))
    assert before["steady_state_met"] is True
    assert before["probes"][0]["tolerance_met"] is True
    assert before["probes"][0]["output"] == {"status": 200, "body": "NaN"}
    assert after["probes"][0]["tolerance_met"] is False
    assert after["probes"][0]["exception"] == ["connection refused\n"]
    (during,) = found["steady_states"]["during"]
    assert during == {"steady_state_met": False, "probes": []}


def test_until_there_is_a_verdict_the_probes_speak(tmp_path: Path) -> None:
    found = written(tmp_path / "j.json", made.opening())
    assert found["steady_states"]["before"]["steady_state_met"] is True
    assert found["steady_states"]["after"] is None
    first = made.opening()[4]
    assert isinstance(first, events.ActivityEnded)
    failed = replace(first, record=replace(first.record, tolerance_met=False))
    found = written(tmp_path / "j.json", [*made.opening()[:4], failed])
    assert found["steady_states"]["before"]["steady_state_met"] is False


def test_at_every_moment_the_file_is_a_whole_journal(tmp_path: Path) -> None:
    """As it would be found had the writer been killed after this event."""
    path = tmp_path / "journal.json"
    writer = JournalWriter(str(path))
    announced = made.whole()
    for event in announced:
        writer.record(event)
        found = read(path)
        assert found["status"] == ("completed" if event is announced[-1] else "interrupted")
        assert found["end"] >= found["start"]
        assert found["duration"] >= 0
        assert [p for p in tmp_path.iterdir() if p != path] == []


def test_an_activity_that_had_not_ended_says_so(tmp_path: Path) -> None:
    found = written(tmp_path / "j.json", made.opening())
    (entry,) = found["run"]
    assert (entry["activity"]["name"], entry["status"]) == ("lose-a-replica", "aborted")
    assert entry["exception"] == ["it had not ended when this was written\n"]


def test_sloguards_document_stands_whole_under_its_own_key(tmp_path: Path) -> None:
    announced = made.whole()
    found = written(tmp_path / "j.json", announced)
    last = announced[-1]
    assert isinstance(last, events.RunEnded)
    # Through JSON, for tuples and numbers.
    assert found["sloguard"] == json.loads(json.dumps(last.document))
    assert written(tmp_path / "k.json", made.opening())["sloguard"] is None


def test_no_secret_and_no_number_that_json_does_not_have(tmp_path: Path) -> None:
    output = {"n": [math.nan, math.inf, -math.inf], "x": f"Bearer {SECRET}", "half": "\ud800"}
    done = made.record(made.KILL, "method", FAULT, output=output, error=f"401: {SECRET}")
    path = tmp_path / "j.json"
    found = written(path, [*made.opening(), events.ActivityEnded(FAULT + 1, done)])
    assert found["run"][0]["output"]["n"] == ["NaN", "+Inf", "-Inf"]
    assert found["run"][0]["exception"] == ["401: *****\n"]
    assert SECRET not in path.read_text(encoding="utf-8")


def test_rollbacks_and_probes_of_the_configuration_go_where_they_belong(tmp_path: Path) -> None:
    looked_up = replace(made.PROBE, key="configuration[x]")
    record = made.record(looked_up, "configuration", FAULT - 50, output="secret-ish")
    extra = [
        events.ActivityStarted(FAULT - 50, looked_up, "configuration"),
        events.ActivityEnded(FAULT - 50, record),
    ]
    announced = made.whole()
    found = written(tmp_path / "j.json", [announced[0], *extra, *announced[1:]])
    assert [r["activity"]["name"] for r in found["run"]] == ["lose-a-replica"]
    assert [r["activity"]["name"] for r in found["rollbacks"]] == ["start-it-again"]
    assert len(found["steady_states"]["before"]["probes"]) == 1


def test_an_activity_without_its_text_is_described_from_its_parts(tmp_path: Path) -> None:
    activity = replace(
        made.PROBE, declared={}, background=True, pause_before=1.0, pause_after="${x}"
    )
    record = made.record(activity, "method", FAULT, status=ActivityStatus.SKIPPED)
    found = written(
        tmp_path / "j.json", [made.opening()[0], events.ActivityEnded(FAULT + 1, record)]
    )
    assert found["run"][0]["activity"] == {
        "type": "probe",
        "name": "front-answers",
        "provider": {"type": "http", "url": "http://127.0.0.1/health"},
        "tolerance": 200,
        "background": True,
        "pauses": {"before": 1.0, "after": "${x}"},
    }


def test_the_journal_of_a_stored_run_is_that_of_the_run(tmp_path: Path) -> None:
    live = written(tmp_path / "j.json", made.whole())
    with Store(str(tmp_path / "runs.db")) as store:
        for event in made.whole():
            store.record(event)
        stored = journal_of(store.run(RUN), store.events(RUN))
    assert json.loads(json.dumps(stored)) == live


def test_the_journal_of_a_run_that_was_killed_and_recovered(tmp_path: Path) -> None:
    with Store(str(tmp_path / "runs.db")) as store:
        for event in made.opening():
            store.record(event)
        assert journal_of(store.run(RUN))["status"] == "interrupted"
        store.close(RUN, "aborted", "interrupted: killed, and recovered later", ())
        found = journal_of(store.run(RUN), store.events(RUN))
    assert (found["status"], found["deviated"]) == ("interrupted", False)
    assert found["sloguard"]["outcome"] == Outcome.ABORTED


def test_a_path_that_cannot_be_written_is_one_clear_error_and_the_old_file_stays(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("kept")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "file" / "j.json", tmp_path, tmp_path / "pipe", Path("/dev/stdout")):
        writer = JournalWriter(str(path))
        with pytest.raises(JournalError, match=r"the journal .* cannot be written: .*journal-path"):
            writer.record(made.opening()[0])
    assert (tmp_path / "file").read_text() == "kept"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 64 KiB of room."""
    directory = tmp_path / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def test_a_full_disk_leaves_the_last_whole_journal_and_the_next_try_is_complete(
    small_disk: Path,
) -> None:
    path = small_disk / "journal.json"
    writer = JournalWriter(str(path))
    announced = made.whole()
    for event in announced[:9]:
        writer.record(event)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(b"x" * 200_000)
    with pytest.raises(JournalError, match="No space left on device"):
        writer.record(announced[9])
    assert read(path)["run"][0]["status"] == "aborted"
    assert sorted(p.name for p in small_disk.iterdir()) == ["filler", "journal.json"]
    (small_disk / "filler").unlink()
    for event in announced[10:]:
        writer.record(event)
    assert read(path)["run"][0]["status"] == "succeeded"


def test_directories_are_made_links_stay_links_and_modes_stay(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "j.json"
    written(deep, made.opening())
    deep.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(deep)
    written(link, made.whole())
    assert link.is_symlink()
    assert stat.S_IMODE(deep.stat().st_mode) == 0o640
    assert read(deep)["status"] == "completed"


REPORT = """
import json, sys, warnings
warnings.simplefilter("ignore")
from chaosreport import generate_report, generate_report_header
for path in sys.argv[1:]:
    print(generate_report_header([path], "html"))
    with open(path) as file:
        print(generate_report(json.load(file), "html"))
"""


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("chaosreport", "pypandoc"))),
    reason="chaostoolkit-reporting is not installed",
)
def test_the_chaos_toolkits_report_reads_it(tmp_path: Path) -> None:
    """Of a whole run, of one that was killed at any moment, and of one without a hypothesis."""
    bare = replace(made.experiment(), declared={"title": "bare", "method": []})
    journals = {
        "whole": made.whole(),
        "killed": made.opening(),
        "at-once": made.opening()[:1],
        "bare": [events.RunStarted(FAULT, RUN, bare, bare.declared), *ending()],
    }
    paths = [tmp_path / f"{name}.json" for name in journals]
    for path, announced in zip(paths, journals.values(), strict=True):
        written(path, announced)
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLBACKEND": "agg", "TZ": "UTC"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "lose-a-replica" in done.stdout
    assert "it had not ended when this was written" in done.stdout
    assert "| **Status**                    | completed |" in done.stdout
    assert "| **Status**                    | interrupted |" in done.stdout
