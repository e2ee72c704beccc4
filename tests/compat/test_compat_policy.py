"""``sloguard run --compat`` ends as ``chaos run`` does: the exit code, the rollbacks, the journal's status.

Every file of the corpus is run by both, with the strategies that the files declare, or none.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.certificates import Certificates
from tests.support.compat_sides import FILES, RELEASES, Sides, differing, run_corpus

#: The rows of the table of differences that hold here too: where ``chaos run`` crashes or refuses the file, there is
#: no end to be compared, and nothing runs with a value that nobody knows.
EXCEPT = {"no-crash", "accepted-more", "configuration-probe", "vault", "interrupting-function"}
NEWEST = max(RELEASES, key=lambda release: [int(n) for n in release.series.split(".")])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Sides:
    sides = {"theirs": ("plain", NEWEST), "ours": ("compat", None)}
    return run_corpus(tmp_path_factory.mktemp("policy"), certificates, sides)


@pytest.mark.parametrize("name", FILES)
def test_the_ends_are_the_same(ran: Sides, name: str) -> None:
    theirs, ours = ran["theirs"][name], ran["ours"][name]
    assert ours["crash"] == ""
    assert "this is a bug" not in ours["errors"]
    excused = EXCEPT & set(differing(name, NEWEST))
    if excused or theirs["crash"]:
        assert _end(theirs) != _end(ours), f"{excused}: this no longer differs"
        return
    assert _end(ours) == _end(theirs)


def _end(ran: dict[str, Any]) -> tuple[int, Any, list[tuple[str, str]]]:
    """Exit code, the journal's words for it, and each rollback with its status."""
    journal = ran["journal"]
    # What it refuses before it begins, the Chaos Toolkit writes no journal of.
    found = journal if isinstance(journal, dict) else {"status": "failed", "deviated": False}
    # What a dry run leaves out has succeeded there.
    rollbacks = [
        (run["activity"]["name"], run["status"].replace("skipped", "succeeded"))
        for run in found.get("rollbacks") or []
    ]
    return ran["exit"], (found["status"], found["deviated"]), rollbacks
