"""The same experiments by ``chaos run`` and by ``sloguard run``: the journals are compared, value by value.

Every file of ``corpus`` is run by both, each in one process for all of them. What differs has to stand in the
file, under the name of a row of docs/chaos-toolkit.md, and what stands there has to differ. Under ``x-compat``:
``arguments`` and ``environment`` of both commands, ``outcome`` of sloguard's, ``differs``: row -> patterns of the
paths that differ.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Certificates
from tests.support.command import ROOT, environment
from tests.support.compat_journals import differences, story
from tests.support.compat_runner import SIDES, declared
from tests.support.compat_server import serving

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(f.name for f in CORPUS.iterdir() if f.suffix in (".yaml", ".json"))
TABLE = ROOT / "docs" / "chaos-toolkit.md"
#: Enough for a machine that is busy with other tests; alone it takes a tenth of it.
PATIENCE = 110

Both = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Both:
    """Side -> file -> what came of it."""
    home = tmp_path_factory.mktemp("compat")
    keys = certificates.certificate("server"), certificates.key("server")
    with serving() as plain, serving(*keys) as tls:
        more = {"COMPAT_URL": plain, "COMPAT_TLS_URL": tls, "LC_ALL": "C.UTF-8"}
        started = {side: _start(side, home, more) for side in SIDES}
        try:
            for side, process in started.items():
                _, said = process.communicate(timeout=PATIENCE)
                assert process.returncode == 0, f"{side}: {said}"
        finally:
            for process in started.values():
                process.kill()
                process.wait()
    return {side: json.loads((home / side / f"{side}.json").read_text("utf-8")) for side in SIDES}


def _start(side: str, home: Path, more: dict[str, str]) -> subprocess.Popen[str]:
    (home / side).mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.compat_runner", side, str(CORPUS), str(home / side)],
        cwd=ROOT,
        env=environment(home, more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", FILES)
def test_the_journals_differ_only_where_it_is_meant(ran: Both, name: str) -> None:
    told = declared(CORPUS / name)
    theirs, ours = ran["chaos"][name], ran["sloguard"][name]
    assert ours["crash"] == ""
    assert "this is a bug" not in ours["errors"]
    assert "Traceback" not in ours["errors"]
    found = differences(story(theirs), story(ours))
    patterns = {p: row for row, paths in (told.get("differs") or {}).items() for p in paths}
    meant = {path: [p for p in patterns if fnmatchcase(path, p)] for path in found}
    assert {path: found[path] for path, by in meant.items() if not by} == {}
    assert set(patterns) - {p for by in meant.values() for p in by} == set(), (
        "this no longer differs"
    )
    if "outcome" in told:
        assert story(ours)["verdict"] == told["outcome"]
    elif not patterns:
        assert (
            ours["exit"]
            == {"met": 0, "deviated": 10, "aborted": 13, "not-started": 12}[
                story(theirs)["verdict"]
            ]
        )


@pytest.mark.parametrize("name", FILES)
def test_where_the_chaos_toolkit_does_not_pass_sloguard_does_not_pass(ran: Both, name: str) -> None:
    """The other way round is meant: no evidence, no pass."""
    rows = set(declared(CORPUS / name).get("differs") or {})
    excused = rows & {"no-crash", "accepted-more", "leaving"}
    if ran["chaos"][name]["exit"] != 0 and not excused:
        assert ran["sloguard"][name]["exit"] != 0


def test_pauses_are_waited_for(ran: Both) -> None:
    for side in SIDES:
        runs = ran[side]["references.yaml"]["journal"]["run"]
        first, paused = runs[0], runs[1]
        assert _seconds(paused["start"]) - _seconds(first["end"]) >= 0.05


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def rows() -> dict[str, str]:
    """The rows of the table of differences: name -> the rest."""
    # The first table of the page; others tell of other things.
    table = TABLE.read_text("utf-8").partition("| row |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `([a-z][a-z-]*)` \|(.+)$", table, re.MULTILINE)
    assert len(found) == len(dict(found)), "a row is there twice"
    return dict(found)


def test_every_difference_is_a_row_of_the_table_and_every_row_is_a_difference() -> None:
    used = {row for name in FILES for row in declared(CORPUS / name).get("differs") or {}}
    assert used == set(rows())
