"""The tour tells, runs, compares. No server runs here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from sloguard.core.model import EXIT_CODES
from sloguard.demo.tour import QUIET, STOPS, experiments, tour
from tests.fakes.demo import FakeDemo

EXPECTED = [EXIT_CODES[stop.expected] for stop in STOPS]


class Runs:
    """Ends experiments with the codes it was given, and remembers what it ran."""

    def __init__(self, codes: list[int]) -> None:
        self.codes = list(codes)
        self.files: list[Path] = []

    def __call__(self, file: Path, environment: Mapping[str, str]) -> int:
        assert environment == {"DEMO_FRONT_URL": "http://front.test"}
        self.files.append(file)
        return self.codes.pop(0)


def test_four_experiments_end_differently() -> None:
    assert EXPECTED == [0, 10, 10, 13]


def test_all_as_expected_is_success_and_every_outcome_is_explained() -> None:
    demo, runs, said = FakeDemo(), Runs(EXPECTED), list[str]()
    assert tour(demo, runs, said.append) == 0
    assert [file.name for file in runs.files] == [stop.file for stop in STOPS]
    assert demo.settled == [QUIET] * 4, (
        "each experiment reads a history without the last one's fault"
    )
    text = " ".join(" ".join(said).split())
    for stop in STOPS:
        assert stop.before in text
        assert stop.after in text
    assert text.count("[as expected]") == 4


@pytest.mark.parametrize("position", range(4))
def test_one_other_outcome_is_failure_and_the_lesson_is_not_told(position: int) -> None:
    codes = list(EXPECTED)
    codes[position] = 11
    said: list[str] = []
    assert tour(FakeDemo(), Runs(codes), said.append) == 1
    text = " ".join(" ".join(said).split())
    assert f"inconclusive (exit code 11) instead of {STOPS[position].expected}" in text
    assert STOPS[position].after not in text
    assert text.count("[as expected]") == 3


def test_a_shop_that_was_not_well_gets_another_chance() -> None:
    said: list[str] = []
    demo, runs = FakeDemo(), Runs([12, 12, *EXPECTED])
    assert tour(demo, runs, said.append) == 0
    assert [file.name for file in runs.files[:3]] == [STOPS[0].file] * 3
    assert demo.settled == [QUIET] * 6
    assert " ".join(" ".join(said).split()).count("once more, when it is") == 2


def test_a_shop_that_is_never_well_is_told_of() -> None:
    said: list[str] = []
    assert tour(FakeDemo(), Runs([12, 12, 12, *EXPECTED[1:]]), said.append) == 1
    assert "not-started (exit code 12) instead of met" in " ".join(" ".join(said).split())


def test_an_exit_code_without_an_outcome_is_no_verdict() -> None:
    said: list[str] = []
    assert tour(FakeDemo(), Runs([1, *EXPECTED[1:]]), said.append) == 1
    assert "no verdict (exit code 1)" in " ".join(said)


def test_an_interrupted_run_ends_the_tour() -> None:
    def interrupted(_file: Path, _environment: Mapping[str, str]) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tour(FakeDemo(), interrupted, lambda _line: None)


def test_the_files_promise_what_the_tour_tells() -> None:
    files = {file.name for file in experiments().glob("*.yaml")}
    assert files == {stop.file for stop in STOPS}
    for stop in STOPS:
        text = (experiments() / stop.file).read_text()
        expected = f"{stop.expected} (exit code {EXIT_CODES[stop.expected]})"
        assert expected in " ".join(text.replace("\n# ", " ").split())


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.file)
def test_whatever_an_experiment_sets_in_envoy_it_takes_back(stop) -> None:
    document = yaml.safe_load((experiments() / stop.file).read_text())

    def keys(section: str, *, emptied: bool) -> set[str]:
        urls = [a["provider"].get("url", "") for a in document[section]]
        pairs = [pair for url in urls if "?" in url for pair in url.partition("?")[2].split("&")]
        return {
            pair.partition("=")[0] for pair in pairs if (pair.partition("=")[2] == "") is emptied
        }

    assert keys("method", emptied=False) == keys("rollbacks", emptied=True)
    assert not keys("method", emptied=True)
    assert not keys("rollbacks", emptied=False)
