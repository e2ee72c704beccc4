"""``sloguard report`` as users meet it: files, formats, windows, and what is said of mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from tests.support.chaos_weeks import PLAN, fill
from tests.support.command import sloguard
from tests.support.golden import GOLDEN

#: Few runs are enough here.
FEW = tuple(one for one in PLAN if one.setup in ("lose-a-pod", "cut-off-payment"))[-4:]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "runs.db"
    with Store(str(path)) as store:
        fill(store, FEW)
    return path


@pytest.fixture
def shop(filled: Path, tmp_path: Path) -> Path:
    """A home with these runs in its store."""
    shutil.copy(filled, tmp_path / "runs.db")
    return tmp_path


def report(home: Path, *arguments: str, **more: Any) -> Any:
    return sloguard("report", *arguments, home=home, cwd=home, **more)


def stored(home: Path, *arguments: str) -> Any:
    return report(home, *arguments, "--store", str(home / "runs.db"))


def test_a_week_in_every_form(shop: Path) -> None:
    week = ("weekly", "--week", "2026-W47", "--time-zone", "Europe/Berlin")
    ran = stored(shop, *week, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    model = ran.json
    assert (model["name"], model["time_zone"]) == ("2026-W47", "Europe/Berlin")
    assert model["runs"]["total"] == 3
    ran = stored(shop, *week, "--output", "out/week.pdf", "--keep")
    assert ran.code == 0
    assert (shop / "out" / "week.pdf").read_bytes().startswith(b"%PDF-")
    assert model["headline"] in ran.err
    assert "kept as report" in ran.err
    with Store(str(shop / "runs.db")) as store:
        (kept,) = store.reports()
    assert kept.name == "2026-W47"
    assert kept.id in ran.err


def test_any_window_and_directories_of_experiments(shop: Path) -> None:
    (shop / "experiments").mkdir()
    (shop / "experiments" / "never.yaml").write_text("title: Never run\nmethod: []\n", "utf-8")
    ran = stored(
        shop, "weekly", "--since", "2026-11-17", "--until", "2026-11-18T00:00:00+00:00", "--weeks", "2",
        "--experiments", "experiments", "--format", "json",
    )  # fmt: skip
    assert [p["name"] for p in ran.json["runs"]["periods"]] == ["2026-11-16", "2026-11-17"]
    assert [e["experiment"] for e in ran.json["radius"]["experiments_never"]] == ["never"]


def test_runs_and_files_side_by_side(shop: Path) -> None:
    ran = stored(shop, "run", "latest", str(GOLDEN / "verdict-deviated.json"), "--format", "md")
    assert ran.code == 0
    assert ran.out.startswith("# Runs side by side\n")
    assert "Payment waits for a bank" in ran.out


def test_a_page_is_written_as_its_name_says(tmp_path: Path) -> None:
    ran = report(tmp_path, "run", str(GOLDEN / "verdict-deviated.json"), "--output", "run.html")
    assert ran.code == 0
    page = (tmp_path / "run.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "Checkout keeps its promise" in page


def test_files_alone_need_no_store(tmp_path: Path) -> None:
    ran = report(tmp_path, "run", str(GOLDEN / "journal.json"), "--format", "md")
    assert ran.code == 0
    assert "Losing a replica" in ran.out
    assert not (tmp_path / "data").exists()


def test_an_empty_store_is_no_mistake(tmp_path: Path) -> None:
    ran = report(tmp_path, "weekly", "--format", "md")
    assert ran.code == 0
    assert "Nothing was run, so nothing was learned." in ran.out
    assert ran.out.startswith("# SLO chaos report: ")
    assert "sloguard init" in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("weekly", "--week", "2026-W54"), "2026 has weeks 1 to 53"),
        (("weekly", "--week", "monday"), "such as 2026-W47"),
        (("weekly", "--week", "2026-W47", "--since", "2026-11-01"), "leave --since and --until away"),
        (("weekly", "--until", "2026-11-01"), "--until needs --since"),
        (("weekly", "--since", "2026-11-02", "--until", "2026-11-01"), "ends before it starts"),
        (("weekly", "--since", "yesterday"), "is not a time"),
        (("weekly", "--since", "1066-10-14"), "between the years 1970"),
        (("weekly", "--time-zone", "Europe/Atlantis"), "there is no time zone"),
        (("run", "nobody"), "no run 'nobody'"),
        (("run", "missing.json"), "missing.json: it cannot be read: No such file"),
        (("run", "broken.json"), "broken.json: this is no JSON"),
        (("run", "binary.json"), "no JSON in UTF-8"),
    ],
)  # fmt: skip
def test_mistakes_are_said_in_a_line(shop: Path, arguments: tuple[str, ...], says: str) -> None:
    (shop / "broken.json").write_text("{", "utf-8")
    (shop / "binary.json").write_bytes(b"\xff\xfe\x00")
    ran = stored(shop, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_a_file_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    ran = report(tmp_path, "run", str(GOLDEN / "verdict-deviated.json"), "--output", "file/x.html")
    assert ran.code == 1
    assert "could not be written" in ran.err
