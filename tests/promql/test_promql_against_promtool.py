"""What a real Prometheus accepts is read here too: promtool reads every query of the tables."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sloguard.promql.errors import PromqlError
from sloguard.promql.parse import parse
from tests.promql.test_promql_lint import QUIET
from tests.promql.test_promql_parse import ACCEPTED

PROMTOOL = shutil.which("promtool")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed"),
]

MORE = [
    "foo[5m]",
    "foo{}",
    "foo{a=~'.+',}",
    "sum by(a)(foo)",
    "sum(foo)by(a)",
    "- -foo",
    "-1 ^ 2",
    "foo offset 1d2h3m4s5ms",
    "foo[1y2w3d] offset -1s",
    "foo[5m] @ 1.5 offset 3s",
    "foo == bool on () group_right () bar",
    "start + end + offset + by",
    "nan + INF - Inf",
    "0XaF + 1e-3 + 1E+3 + 5.",
    "(((foo)))",
    "foo\t+\r\n bar # end",
    "absent(foo{a='b'})",
    "clamp(foo, -1, 1)",
    "round(foo)",
    "round(foo, 5)",
    "days_in_month()",
    "sort_desc(foo)",
    "present_over_time(foo[5m])",
    "group without () (foo)",
    "foo{a='\\u00fc\\n'}",
    "rate(foo)",
    "sum(foo[5m])",
    "foo +",
    "foo bar",
    "{}",
    "foo{a=b}",
    "1 > 2",
    "foo or 1",
    "sum by a (foo)",
    "foo[5m] offset",
    "rate(foo[5m]) by (a)",
    "foo[0s]",
    "foo[5m][5m]",
    "foo offset 1m offset 2m",
    "topk(foo)",
]


def promtool_accepts(query: str, folder: Path) -> bool:
    file = folder / "rules.yml"
    # JSON is YAML, and quotes whatever a query holds.
    group = {"name": "g", "rules": [{"record": "r", "expr": query}]}
    file.write_text(json.dumps({"groups": [group]}))
    done = subprocess.run([str(PROMTOOL), "check", "rules", str(file)], capture_output=True)
    return done.returncode == 0


@pytest.mark.parametrize("queries", [ACCEPTED, QUIET, MORE], ids=["accepted", "quiet", "more"])
def test_nothing_that_prometheus_accepts_is_refused(queries: list[str], tmp_path: Path) -> None:
    refused = {}
    accepted = 0
    for query in queries:
        if not promtool_accepts(query, tmp_path):
            continue
        accepted += 1
        try:
            parse(query)
        except PromqlError as error:
            refused[query] = str(error)
    assert refused == {}
    assert accepted > len(queries) // 3


def test_what_both_refuse(tmp_path: Path) -> None:
    ours, theirs = [], []
    for query in MORE:
        if not promtool_accepts(query, tmp_path):
            theirs.append(query)
        try:
            parse(query)
        except PromqlError:
            ours.append(query)
    assert ours == theirs
