"""What is generated is read, checked and tested by the real promtool: shipped files, odd ones, and broken ones."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sloguard.adapters.promtool import Promtool, PromtoolError
from sloguard.cli.rules import command
from sloguard.core.burning import DAY
from sloguard.core.service_levels import Budgeting, Indicator, ServiceLevel
from sloguard.render.rules.files import all_rules, rule_file
from sloguard.render.rules.unit_tests import unit_test_files
from tests.render.test_rules_of_service_levels import ALL, level, sliced

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed"),
]
RULES = Path(__file__).resolve().parents[2] / "rules"
FILES = sorted((RULES / "slos").glob("*.yaml"))


def called(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_shipped_rules_are_fresh_and_promtool_takes_them() -> None:
    ran = called("generate", *FILES, "--out", RULES / "generated", "--tests", "--check")
    assert ran.exit_code == 0, ran.stderr
    checked = Promtool().check_rules(
        [*sorted((RULES / "generated").glob("*.rules.yaml")), RULES / "sloguard.yaml"]
    )
    assert checked.good, checked.said


def test_ten_shipped_slos_raise_the_right_alerts() -> None:
    ran = called("test", *FILES)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert sum(int(line.split(": ")[1].split()[0]) for line in ran.stdout.splitlines()) == 10
    assert "stand-in" not in ran.stdout


def test_sloguards_own_alerts_fire_when_they_should() -> None:
    tests = [
        RULES / "sloguard.test.yaml",
        RULES / "sloguard-days.test.yaml",
    ]
    checked = Promtool().test_rules(tests)
    assert checked.good, checked.said


HOSTILE = [
    level(
        Indicator(total='sum(all{a="\\"x\\\\ü\\n"})', bad='sum(all{a="\\"x\\\\ü\\n",b="{{end}}"})', counter=True),
        name="a/b|c\\d.e-F", service='{{ "x" }} "q" \\ ünï\u2028', display_name="{{ range }}", description="}} {{ . }} `x` %s $labels",
        labels={"team": "{{ $labels.x }}", "ünï": "ü"}, annotations={"sloguard.io/dashboard": "http://x?a=1&b={{c}}"},
    ),
    level(Indicator(total="sum(a) # all of them\n", bad="# none\nsum(a{code=~'5..'})", counter=True), name="comments"),
    level(Indicator(raw="0.001"), name="scalar"),
    level(Indicator(threshold="{a='b'}"), name="no-name", op=">", value=-1e-9),
    sliced(Indicator(raw="sum(rate(a[{{.window}}])) / sum(rate(b[{{.window}}]))"), Budgeting.TIMESLICES, name="stood-in", target=0.95),
]  # fmt: skip


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All kinds of levels in one file of rules."""
    numbered = [_renamed(one, f"{number}") for number, one in enumerate(ALL)]
    directory = tmp_path_factory.mktemp("rules")
    (directory / "all.rules.yaml").write_text(
        rule_file(all_rules([*numbered, *HOSTILE]), "x"), encoding="utf-8"
    )
    return directory


def _renamed(one: ServiceLevel, name: str) -> ServiceLevel:
    return replace(one, name=name)


def test_every_kind_of_level_with_odd_names_passes_the_check(everything: Path) -> None:
    checked = Promtool().check_rules([everything / "all.rules.yaml"])
    assert checked.good, checked.said


def run(directory: Path, one: ServiceLevel) -> tuple[bool, str]:
    made = all_rules([one])
    (directory / "r.yaml").write_text(rule_file(made, "x"), encoding="utf-8")
    (found,) = unit_test_files(made, "r.yaml", "s.yaml")
    (directory / "s.yaml").write_text(rule_file(all_rules(found.levels), "x"), encoding="utf-8")
    (directory / "t.yaml").write_text(found.text, encoding="utf-8")
    checked = Promtool().test_rules([directory / "t.yaml"])
    return checked.good, checked.said


@pytest.mark.parametrize(
    "one", [HOSTILE[0], HOSTILE[4], level(period=7 * DAY, target=0.9)], ids=lambda one: one.name
)
def test_odd_levels_raise_the_right_alerts(tmp_path: Path, one: ServiceLevel) -> None:
    good, said = run(tmp_path, one)
    assert good, said


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tested")
    good, said = run(directory, level())
    assert good, said
    return directory


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("14.4 * 0.001", "1.44 * 0.001"),
        ("14.4 * 0.001", "144 * 0.001"),
        ("> 6 * 0.001", "> 60 * 0.001"),
        ("> 1 * 0.001", "> 10 * 0.001"),
        ("\n            and\n", "\n            or\n"),
        ("(sum by (job) (rate(bad[1h])))", "(sum by (job) (rate(bad[6h])))"),
    ],
)
def test_the_unit_tests_see_what_is_wrong(tested: Path, tmp_path: Path, old: str, new: str) -> None:
    text = (tested / "r.yaml").read_text()
    assert old in text
    (tmp_path / "r.yaml").write_text(text.replace(old, new))
    shutil.copy(tested / "t.yaml", tmp_path)
    assert not Promtool().test_rules([tmp_path / "t.yaml"]).good


def test_a_promtool_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PromtoolError, match="it comes with Prometheus"):
        Promtool(tmp_path / "promtool")
    ran = called("test", FILES[0], "--promtool", tmp_path / "promtool")
    assert ran.exit_code == 1
    assert "promtool is not at" in ran.stderr


def test_documents_of_a_test_are_what_promtool_documents(tmp_path: Path) -> None:
    made = all_rules([level()])
    (found,) = unit_test_files(made, "r.yaml", "s.yaml")
    document: dict[str, Any] = yaml.safe_load(found.text)
    assert set(document) == {"rule_files", "evaluation_interval", "group_eval_order", "tests"}
    assert {key for test in document["tests"] for key in test} == {
        "name",
        "interval",
        "input_series",
        "promql_expr_test",
    }
