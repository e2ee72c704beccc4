"""The same experiments by ``chaos run`` and by ``sloguard run``: the journals are compared, value by value.

Every file of ``corpus`` is run by all, each in one process for all of them: by sloguard, and by each release of
the Chaos Toolkit that is at hand. What differs has to stand in the file, under the name of a row of
docs/chaos-toolkit.md, and what stands there has to differ. Under ``x-compat``: ``arguments`` and
``environment`` of both commands, ``outcome`` of sloguard's, ``differs``: row -> patterns of the paths that differ
(``differs-1.44``: from this release only).
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from tests.support.certificates import Certificates
from tests.support.command import ROOT
from tests.support.compat_journals import differences, story
from tests.support.compat_releases import Release
from tests.support.compat_runner import declared
from tests.support.compat_sides import (
    CORPUS,
    FILES,
    RELEASES,
    Sides,
    differing,
    on_each_release,
    run_corpus,
)

TABLE = ROOT / "docs" / "chaos-toolkit.md"
OURS = "sloguard"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Sides:
    theirs = {release.name: ("chaos", release) for release in RELEASES}
    home = tmp_path_factory.mktemp("compat")
    return run_corpus(home, certificates, {OURS: ("sloguard", None), **theirs})


@on_each_release
@pytest.mark.parametrize("name", FILES)
def test_the_journals_differ_only_where_it_is_meant(
    ran: Sides, name: str, release: Release
) -> None:
    told = declared(CORPUS / name)
    theirs, ours = ran[release.name][name], ran[OURS][name]
    assert ours["crash"] == ""
    assert "this is a bug" not in ours["errors"]
    assert "Traceback" not in ours["errors"]
    found = differences(story(theirs), story(ours))
    patterns = {p: row for row, paths in differing(name, release).items() for p in paths}
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


@on_each_release
@pytest.mark.parametrize("name", FILES)
def test_where_the_chaos_toolkit_does_not_pass_sloguard_does_not_pass(
    ran: Sides, name: str, release: Release
) -> None:
    """The other way round is meant: no evidence, no pass."""
    excused = set(differing(name, release)) & {
        "no-crash",
        "accepted-more",
        "leaving",
    }
    if ran[release.name][name]["exit"] != 0 and not excused:
        assert ran[OURS][name]["exit"] != 0


def test_pauses_are_waited_for(ran: Sides) -> None:
    for of_one in ran.values():
        runs = of_one["references.yaml"]["journal"]["run"]
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
    used = {
        row
        for name in FILES
        for key, found in declared(CORPUS / name).items()
        if key.partition("-")[0] == "differs"
        for row in found or {}
    }
    assert used == set(rows())
