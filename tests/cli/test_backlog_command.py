"""``sloguard backlog``: what could go wrong, what runs said, and the file that is people's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from sloguard.adapters.store import Store
from sloguard.adapters.store.tables import runs
from sloguard.cli.backlog import command
from sloguard.cli.main import cli
from sloguard.spec import load, starter
from tests.support import runs as made
from tests.support.chaos_backlog import tagged
from tests.support.empty_store import empty_store

FILE = """\
# Ours.
hypotheses:
- id: one-lost   # by number
  hypothesis: We believe that nobody notices when one is lost.
  likelihood: high
  impact: high
  owner: team-shop
  services: checkout
  experiment: one.yaml
- {id: many, hypothesis: We believe in many., likelihood: 5, impact: 5}
- id: taken
  hypothesis: We believe that it hurts.
  likelihood: 1
  impact: 2
  status: accepted  # by the board
"""
EXPERIMENT = "title: One is lost\ndescription: d\nbacklog: one-lost\nmethod: []\n"


class Place:
    """A directory with a backlog, an experiment and a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "experiments" / "backlog.yaml"
        self.file.parent.mkdir()
        self.file.write_text(FILE)
        (self.file.parent / "one.yaml").write_text(EXPERIMENT)
        self.store = str(empty_store(path / "runs.db"))

    def run(self, *words: str, store: bool = True) -> Result:
        more = ("--store", self.store) if store else ()
        return CliRunner().invoke(command, [*words, "--file", str(self.file), *more])

    def shown(self, *words: str) -> Any:
        found = self.run(*words, "-o", "json")
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    def statuses(self) -> dict[str, str]:
        return {one["id"]: one["status"] for one in self.shown("list")["hypotheses"]}

    def keep(self, run: str, outcome: str, tag: str) -> None:
        with Store(self.store) as store:
            recorder = store.recorder()
            for event in tagged(made.whole(run), tag):
                recorder.record(event)
            with store._database.writing() as connection:
                connection.execute(update(runs).where(runs.c.id == run).values(outcome=outcome))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_list_is_by_risk_and_says_what_has_no_experiment(place: Place) -> None:
    found = place.run("list")
    assert found.exit_code == 0, found.output
    lines = [line for line in found.stdout.splitlines() if "×" in line and "L×I" not in line]
    assert [line.split()[0] for line in lines] == ["25", "16", "2"]
    assert "none yet" in lines[0]
    assert "One is lost" not in lines[0]
    assert found.stderr == "3 hypotheses: 2 open, 1 accepted\n"
    whole = place.shown("list")
    assert [one["id"] for one in whole["hypotheses"]] == ["many", "one-lost", "taken"]
    assert whole["counts"] == {**dict.fromkeys(whole["counts"], 0), "open": 2, "accepted": 1}
    assert place.shown("list", "--owner", "team-shop")["counts"]["open"] == 1
    assert place.shown("list", "--service", "checkout")["counts"]["open"] == 1
    assert place.shown("list", "--status", "refuted")["hypotheses"] == []
    assert "no hypothesis fits" in place.run("list", "--status", "refuted").stdout


def test_runs_close_it_and_open_it_again(place: Place) -> None:
    for number, (outcome, status) in enumerate(
        [("inconclusive", "open"), ("deviated", "refuted"), ("aborted", "refuted"), ("met", "confirmed"), ("deviated", "refuted")]
    ):  # fmt: skip
        place.keep(f"2026010{number + 1}T000000-x", outcome, "backlog:one-lost")
        assert place.statuses()["one-lost"] == status, outcome
    found = place.shown("show", "one-lost")
    assert found["decided_by"]["run"] == "20260105T000000-x"
    assert [run["state"] for run in found["runs"]] == ["deviated", "met", "aborted", "deviated", "inconclusive"]  # fmt: skip
    text = place.run("show", "one-lost").stdout
    assert "✗ refuted  deviated in 20260105T000000-x" in text
    assert "risk        16 (high): likelihood 4 × impact 4" in text
    assert "One is lost" in text


def test_without_runs_no_store_is_made(place: Place, tmp_path: Path) -> None:
    nowhere = tmp_path / "none" / "runs.db"
    words = ["list", "--no-runs", "--file", str(place.file), "--store", str(nowhere)]
    assert CliRunner().invoke(command, words).exit_code == 0
    assert not nowhere.exists()


def test_next_says_what_to_mend_run_and_write(place: Place) -> None:
    text = place.run("next").stdout
    assert "run   one-lost (risk 16)" in text
    assert "one.yaml" in text
    assert "write many (risk 25)" in text
    assert "mend  " not in text
    assert "sloguard init experiments/many.yaml --backlog many" in text.replace(
        str(place.path) + "/", ""
    )
    place.keep("20260101T000000-x", "deviated", "backlog:one-lost")
    found = place.shown("next")
    assert found["mend"]["id"] == "one-lost"
    assert found["run"] is None
    assert "mend  one-lost (risk 16)" in place.run("next").stdout


def test_the_file_is_written_only_when_asked_and_only_where_runs_know_more(place: Place) -> None:
    assert "says what the runs say" in place.run("update").stdout
    place.keep("20260101T000000-x", "deviated", "backlog:one-lost")
    place.keep("20260102T000000-x", "deviated", "backlog:taken")
    shown = place.run("update")
    assert "+  status: refuted" in shown.stdout
    assert "nothing is written" in shown.stderr
    assert place.file.read_text() == FILE
    written = place.run("update", "--write")
    assert written.exit_code == 0, written.output
    assert written.stdout == shown.stdout
    assert place.file.read_text() == FILE.replace(
        "one-lost   # by number\n",
        "one-lost   # by number\n  status: refuted\n  last_run: 20260101T000000-x\n",
    )
    assert "says what the runs say" in place.run("update").stdout


def test_what_stands_in_the_file_survives_its_runs(place: Place) -> None:
    place.keep("20260101T000000-x", "met", "backlog:one-lost")
    assert place.run("update", "--write").exit_code == 0
    with Store(place.store) as store:
        store.delete("20260101T000000-x")
    assert place.statuses()["one-lost"] == "confirmed"
    assert "as it is written" in place.run("show", "one-lost").stdout


def test_check_tells_all_that_is_wrong_of_both_sides(place: Place) -> None:
    found = place.run("check", store=False)
    assert (found.exit_code, "has no experiment yet" in found.stdout) == (0, True)
    assert place.run("check", "--strict", store=False).exit_code == 2
    (place.file.parent / "two.yaml").write_text(EXPERIMENT.replace("one-lost", "one-lots"))
    place.file.write_text(
        FILE.replace("experiment: one.yaml", "experiment: [one.yaml, three.yaml]")
    )
    found = place.run("check", store=False)
    assert found.exit_code == 2
    assert "one-lost: there is no experiment 'three.yaml'" in found.stdout
    assert "the experiment two names 'one-lots'" in found.stdout
    assert "did you mean 'one-lost'?" in found.stdout
    place.file.write_text(FILE.replace("high", "hgh"))
    found = place.run("check", store=False)
    assert found.exit_code == 2
    assert found.stdout.count("did you mean 'high'?") == 2
    assert "backlog.yaml:5:15: " in found.stdout
    assert "2 errors" in found.stdout


def test_mistakes_are_a_line(place: Place, tmp_path: Path) -> None:
    found = place.run("show", "one-lots")
    assert (found.exit_code, "did you mean 'one-lost'?" in found.stderr) == (2, True)
    place.file.write_text("hypotheses: 3\n")
    for words in (["list"], ["next"], ["update"], ["show", "x"]):
        found = place.run(*words)
        assert found.exit_code == 2, words
        assert "Traceback" not in found.output
        assert "backlog.yaml has 1 problem" in found.stderr
    place.file.unlink()
    assert "no such file" in place.run("list").stderr


# --- what other commands know of it ----------------------------------------------------------------


def sloguard(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_validate_reads_a_backlog_and_knows_what_it_has_not(place: Place) -> None:
    found = sloguard("validate", str(place.file))
    assert (found.exit_code, ": ok" in found.stdout) == (0, True)
    experiment = place.file.parent / "one.yaml"
    assert sloguard("validate", str(experiment)).stdout.count("warning") == 1
    experiment.write_text(EXPERIMENT.replace("one-lost", "one-lots"))
    found = sloguard("validate", str(experiment))
    assert "one.yaml:3:10: backlog: " in found.stdout
    assert "has no hypothesis 'one-lots'; did you mean 'one-lost'?" in found.stdout
    assert found.exit_code == 0
    assert sloguard("validate", "--strict", str(experiment)).exit_code == 2
    place.file.write_text(FILE.replace("likelihood: high", "likelihood: hgh"))
    found = sloguard("validate", str(place.file))
    assert found.exit_code == 2
    assert "did you mean 'high'?" in found.stdout


def test_a_backlog_is_not_run(place: Place) -> None:
    found = sloguard("run", str(place.file), "--store", place.store)
    assert found.exit_code == 2
    assert "holds hypotheses and no experiment" in found.stderr


def test_the_schema_is_printed() -> None:
    schema = json.loads(sloguard("schema", "--backlog").stdout)
    assert schema["title"] == "sloguard backlog"
    assert "backlog" in json.loads(sloguard("schema").stdout)["$defs"]["experiment"]["properties"]


def test_init_names_the_hypothesis_or_says_which_there_are(place: Place, tmp_path: Path) -> None:
    config = tmp_path / "sloguard.yaml"
    config.write_text(f"backlog: {{file: {place.file}}}\n")
    new = str(tmp_path / "new.yaml")
    found = sloguard("init", new, "--backlog", "mny", "--config", str(config))
    assert (found.exit_code, "did you mean 'many'?" in found.stderr) == (2, True)
    written = starter.write(starter.Choice("We believe: in many.", None, None, hypothesis="many"))
    Path(new).write_text(written)
    assert load(new).tags == ("backlog:many",)
    Path(new).write_text(starter.write(starter.Choice("T", None, None)))
    assert load(new).tags == ()
    assert "# backlog: ID" in Path(new).read_text()
