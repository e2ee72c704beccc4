"""Error budgets as people read them."""

from __future__ import annotations

import pytest

from sloguard.render.markdown import markdown
from sloguard.render.summary import budget_lines
from tests.support.notices import BUDGET, verdict

HEAD = 'error budget of errors{service="a|b"}, 30d at 99.9%: '
SHUT = {"verdict": "deviated", "reason": "errors: 10% is left, at least 20% asked"}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, [HEAD + "84% left before, 1.2% spent by the run, 82.8% left"]),
        (
            {"known_share": 0.5, "spent_is_lower_bound": True},
            [
                HEAD + "at most 84% left before, at least 1.2% spent by the run, 82.8% left, "
                "15d of the period known"
            ],
        ),
        ({"spent_by_run": None, "left_after": None}, [HEAD + "84% left before"]),
        (
            {"left_before": -0.5, "left_after": -0.512},
            [HEAD + "-50% left before, 1.2% spent by the run, -51.2% left"],
        ),
        ({"left_before": None, "left_after": None, "reason": "why"}, []),
        (
            {
                "left_before": None,
                "left_after": None,
                "reason": "why",
                "gate": {"verdict": "met", "reason": ""},
            },
            ["error budget of errors: unknown: why"],
        ),
        (
            {"gate": SHUT},
            [HEAD + "84% left before, 1.2% spent by the run, 82.8% left", SHUT["reason"]],
        ),
    ],
)
def test_lines(changes, lines):
    assert list(budget_lines({"budget": [{**BUDGET, **changes}]})) == lines


def test_documents_of_before_have_none():
    assert list(budget_lines({})) == []


def test_markdown_holds_them_escaped():
    text = markdown(verdict(budget=[BUDGET]))
    assert "84% left before" in text
    assert 'service="a\\|b"' in text
