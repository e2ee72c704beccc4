"""The simulation of random chaos, small: the same for a seed, within its limits, and able to see what it measures."""

from __future__ import annotations

import itertools
from dataclasses import asdict

import pytest

from benchmarks.simulate import HOURS, Layout, Town, covered, scheduled, simulate
from benchmarks.simulated_town import TownMetrics, causes
from sloguard.core.windows import Grid
from sloguard.faults.hours import Hours

SERVICES, DAYS = 50, 1


@pytest.fixture(scope="module")
def together() -> Layout:
    return simulate(SERVICES, 4, 4, DAYS, 1, together=True)


def test_a_seed_says_all_of_it(together: Layout) -> None:
    again = asdict(simulate(SERVICES, 4, 4, DAYS, 1, together=True, through=False))
    kept = asdict(together)
    # How long it took, and what one run through the engine found, is the machine's.
    for key in (
        "cpu_seconds",
        "megabytes_a_day",
        "queries_a_run",
        "queries_a_second",
        "rows_a_day",
    ):
        assert kept[key] > 0, key
        del again[key], kept[key]
    assert again == kept
    # Eight hours of four clusters on a day.
    assert together.runs == 8 * 4 * DAYS
    assert together.most_at_once == 4
    assert sum(together.verdicts.values()) + together.not_started == together.runs
    assert together.verdicts["met"] > 0
    assert together.verdicts["deviated"] > 0
    assert together.blamed > together.blamed_wrongly


def _runs(clusters: int, at_once: int, *, seed: int = 1, services: int = SERVICES):
    made = Layout(services, clusters, at_once, DAYS, together=True)
    return made, scheduled(Town(services, clusters, seed), made, at_once, DAYS, seed)


def test_no_more_at_once_than_all_clusters_may_and_only_in_the_hours() -> None:
    made, runs = _runs(4, 1)
    assert made.most_at_once == 1
    assert made.late > 0
    hours = Hours.of(HOURS)
    assert runs
    assert all(hours.open(one.at) for one in runs)
    # One at a time per cluster, whatever is allowed of all.
    _, free = _runs(4, 4)
    for cluster in range(4):
        own = sorted(one.at for one in free if one.cluster == cluster)
        assert all(later - earlier >= 420 for earlier, later in itertools.pairwise(own))


def test_another_seed_draws_others_and_what_is_drawn_is_of_its_cluster() -> None:
    made, runs = _runs(4, 4)
    _, others = _runs(4, 4, seed=2)
    assert [one.hits for one in runs] != [one.hits for one in others]
    town = Town(SERVICES, 4, 1)
    for one in runs:
        namespaces = {service.namespace for service in town.of(one.cluster)}
        assert {target.partition("/")[0] for _, target, _ in one.hits} <= namespaces
    covered(made, runs)
    assert made.coverage == sorted(made.coverage)
    assert made.hit / SERVICES == made.coverage[-1]


def test_faults_in_other_clusters_change_verdicts_and_are_found_to() -> None:
    # Nothing but what comes from abroad can make a verdict another one.
    alone = simulate(SERVICES, 1, 1, DAYS, 3, through=False)
    assert (alone.wrong_by_others, alone.refused_by_others, alone.blamed_wrongly) == (0, 0, 0)
    made, runs = _runs(4, 4, services=200)
    town = Town(200, 4, 1)
    abroad = [
        effect
        for one in runs
        for effect in one.effects
        if town.services[effect.service].cluster != one.cluster
    ]
    assert made.runs == len(runs)
    assert abroad, "no call leads into another cluster"


def test_the_numbers_show_what_is_broken_for_as_long_as_it_is() -> None:
    town = Town(SERVICES, 1, 1)
    weak = next(one for one in town.services.values() if one.weak)
    target = f"{weak.namespace}/{weak.name}-0"
    effects = town.effects("pods.terminate_pods", target, 1000.0, 1120.0)
    assert causes(effects) == {weak.name: frozenset({target})}
    metrics = TownMetrics(town.of(0), effects, 1)
    grid = Grid(940.0, 15.0, 20)
    row = [one.name for one in town.of(0)].index(weak.name)
    ratio = metrics.range("bad", grid).values[row] / metrics.range("total", grid).values[row]
    over = {float(at) for at, share in zip(grid.times, ratio, strict=True) if share > 0.05}
    # From the hit on, for 90 s and the lookback.
    assert over == {at for at in grid.times.tolist() if 1000 <= at < 1150}
