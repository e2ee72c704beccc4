"""The page of a run tells what its error budgets were, and what is left."""

from __future__ import annotations

from pathlib import Path

from tests.support.notices import BUDGET
from tests.web.test_run_page_alerts import page_of


def test_a_budget_with_a_section_of_its_own(tmp_path: Path) -> None:
    text = page_of(tmp_path, budget=[BUDGET])
    assert "Error budget of errors" in text
    assert "84% left before, 1.2% spent by the run, 82.8% left" in text


def test_a_run_of_before_there_were_budgets_has_none(tmp_path: Path) -> None:
    assert "left before" not in page_of(tmp_path, budget=None)
