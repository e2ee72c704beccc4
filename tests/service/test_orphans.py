"""The janitor over the cluster: what dead runs of anybody have left is undone, what is alive is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports import Object
from sloguard.ports.orphans import Orphan, OrphanState
from sloguard.service.orphans import OrphanWatch
from tests.conftest import REAL_CLUSTER
from tests.support.cluster_faults import Broken, clusters
from tests.support.clusters import Ground, essence
from tests.support.command import environment

pytestmark = pytest.mark.cluster

DELAY = "istio.add_delay_fault"


class Watched:
    """A store, and janitors over one namespace; ``at`` is their clock."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        self.ground, self.at = ground, 0.0
        self.store = Store(str(folder / "janitor.db"))
        self.shop = ground.namespace()
        ground.virtual_service(self.shop)
        self.told: list[Orphan] = []
        self.mended = 0
        self.janitor = self.another("one")

    def another(self, name: str) -> OrphanWatch:
        """Another service."""
        return OrphanWatch(
            self.store,
            clusters(self.ground),
            self.store,
            name=name,
            every=60.0,
            namespaces=[self.shop],
            told=self.told.append,
            mended=self._mend,
            monotonic=lambda: self.at,
        )

    def _mend(self) -> None:
        self.mended += 1

    def look(self, janitor: OrphanWatch | None = None) -> None:
        """A minute later."""
        self.at += 60.0
        (janitor or self.janitor).turn()

    def broken(self) -> Broken:
        """A fault of a run that is nowhere."""
        return Broken(self.ground, DELAY, {"virtual_service_name": "checkout", "ns": self.shop, "fixed_delay": "5s"}).inject()  # fmt: skip

    def seen(self) -> Object:
        """The VirtualService, as far as an undo has to bring it back."""
        return essence(
            self.ground.cluster.get(self.ground.virtual_services(), "checkout", self.shop)
        )

    def states(self) -> list[OrphanState]:
        """Of all that was found."""
        return [one.state for one in self.store.orphans()]


@pytest.fixture
def watched(ground: Ground, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(ground, tmp_path)
    yield made
    made.store.dispose()


def test_what_a_killed_process_has_left_is_put_back_exactly(
    watched: Watched, ground: Ground, tmp_path: Path
) -> None:
    """Its store is gone with it; while it lives, the Lease that it renews keeps the janitor off."""
    before = watched.seen()
    config = os.environ.get(REAL_CLUSTER) or str(tmp_path / "kubeconfig")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.dying_run", config, watched.shop, ground.run],
        stdout=subprocess.PIPE,
        env=environment(tmp_path),
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"injected\n"
        watched.look()
        assert watched.states() == []
        assert watched.seen() != before
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    watched.look()
    assert watched.seen() == before
    (found,) = watched.store.orphans(run=ground.run)
    assert (found.state, found.fault) == (OrphanState.UNDONE, DELAY)
    (entry,) = watched.store.audit_entries(target=ground.run)
    assert (entry.who, entry.action) == ("janitor", "fault.undo")
    assert watched.told == []
    watched.look()
    assert watched.states() == [OrphanState.UNDONE]


def test_a_run_that_its_store_has_not_ended_is_its_ledgers(watched: Watched) -> None:
    watched.broken()
    watched.store.begin(watched.ground.run, "method[0]")
    watched.look()
    assert watched.states() == []
    assert watched.seen()["spec"]["http"][0]["fault"]


@pytest.mark.parametrize(
    "damaged",
    [
        "{oops",
        '[{"id": "x", "run": "r", "fault": "istio.add_delay_fault"}]',
        '[{"id": "x", "run": "r", "fault": "istio.add_delay_fault", "changes": [{"path": ["spec", "http"], "item": 3}]}]',
    ],
    ids=["no JSON", "nothing changed", "not what it says"],
)
def test_what_cannot_be_undone_is_told_once_and_forgotten_when_it_is_gone(
    watched: Watched, ground: Ground, damaged: str
) -> None:
    _annotate(watched, damaged)
    watched.look()
    watched.look()
    assert [one.target for one in watched.told] == [f"VirtualService {watched.shop}/checkout"]
    assert "kubectl edit" in watched.told[0].by_hand
    assert watched.states() == [OrphanState.LEFT]
    _annotate(watched, None)
    watched.look()
    assert watched.states() == [OrphanState.GONE]
    assert len(watched.told) == 1


def _annotate(watched: Watched, text: str | None) -> None:
    ground = watched.ground
    body: Any = {"metadata": {"annotations": {ANNOTATION: text}}}
    ground.cluster.merge_patch(ground.virtual_services(), "checkout", watched.shop, body)


def test_one_of_several_services_looks(watched: Watched) -> None:
    other = watched.another("two")
    watched.look()
    watched.broken()
    watched.look(other)
    assert watched.states() == [], "the other one holds the lease"
    watched.look()
    assert watched.states() == [OrphanState.UNDONE]


def test_it_does_not_look_all_the_time(watched: Watched) -> None:
    watched.look()
    watched.broken()
    watched.janitor.turn()
    assert watched.states() == []
