"""``sloguard rules``: what it writes, what it refuses, and how it says so. promtool has tests of its own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from sloguard.cli.rules import command
from tests.spec.test_openslo_files import metric, slo


def rules(*arguments: object) -> Result:
    return CliRunner().invoke(
        command, [str(argument) for argument in arguments], catch_exceptions=False
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump_all([slo("errors"), slo("more", objectives=[{"target": 0.9}])]))
    return path


def test_check_tells_the_promise_its_alerts_and_what_cannot_fire(file: Path) -> None:
    ran = rules("check", file)
    assert ran.exit_code == 0
    first, second, note = ran.stdout.splitlines()
    assert first.startswith(
        f"{file}: errors: 99.9% over 30d (Occurrences); page at 14.4 x the budget over 1h and 5m"
    )
    assert "14.4" not in second
    assert note.startswith(f"{file}: more: no page over 1h: even if all fails")


def test_check_shows_warnings_and_strict_minds_them(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump(slo(timeWindow=None)))
    ran = rules("check", file)
    assert (ran.exit_code, "warning: " in ran.stderr) == (0, True)
    assert rules("check", file, "--strict").exit_code == 2


def test_generate_prints_or_writes_the_same(file: Path, tmp_path: Path) -> None:
    printed = rules("generate", file)
    assert printed.exit_code == 0
    assert {group["name"] for group in yaml.safe_load(printed.stdout)["groups"]} >= {
        "slo-errors-alerts",
        "slo-more-alerts",
    }
    out = tmp_path / "made" / "deep"
    assert rules("generate", file, "--out", out, "--tests").exit_code == 0
    assert (out / "shop.rules.yaml").read_text() == printed.stdout
    assert yaml.safe_load((out / "shop.test.yaml").read_text())["rule_files"] == ["shop.rules.yaml"]


def test_generate_makes_manifests(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(slo("others")))
    ran = rules("generate", file, other, "--format", "kubernetes")
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(ran.stdout)]
    assert names == ["slo-shop", "slo-other"]


def test_check_of_what_was_generated(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    missing = rules("generate", file, "--out", out, "--check")
    assert missing.exit_code == 2
    assert not out.exists()
    rules("generate", file, "--out", out)
    assert rules("generate", file, "--out", out, "--check").exit_code == 0
    made = out / "shop.rules.yaml"
    made.write_text(made.read_text().replace("14.4", "14.5"))
    stale = rules("generate", file, "--out", out, "--check")
    assert stale.exit_code == 2
    assert "+" in stale.stderr
    assert "1 of 1 files" in stale.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--check"], "--check and --tests need --out DIR"),
        (["--tests"], "--check and --tests need --out DIR"),
        (["--tests", "--out", "x", "--format", "kubernetes"], "promtool tests files of rules"),
    ],
)
def test_options_that_do_not_go_together(file: Path, arguments: list[str], words: str) -> None:
    ran = rules("generate", file, *arguments)
    assert ran.exit_code == 2
    assert words in ran.stderr


def test_nothing_is_written_where_something_is_wrong(file: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(slo("x", budgetingMethod="Ocurrences")))
    ran = rules("generate", file, wrong, "--out", tmp_path / "out")
    assert ran.exit_code == 2
    assert f"{wrong}:" in ran.stderr
    assert "did you mean 'Occurrences'?" in ran.stderr
    assert not (tmp_path / "out").exists()
    wrong.write_text(yaml.safe_dump(slo("x", timeWindow=[{"duration": "1h", "isRolling": True}])))
    ran = rules("generate", file, wrong, "--out", tmp_path / "out")
    assert (ran.exit_code, "too short for burn rates" in ran.stderr) == (2, True)


def test_names_that_collide(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "deep" / "shop.yaml"
    other.parent.mkdir()
    other.write_text(yaml.safe_dump(slo("others")))
    ran = rules("generate", file, other, "--out", tmp_path / "out")
    assert (ran.exit_code, "would be written as shop.rules.yaml too" in ran.stderr) == (2, True)
    other.write_text(yaml.safe_dump(slo("errors")))
    assert "the SLO 'errors' is there twice" in rules("check", file, other).stderr


def test_a_file_without_slos_is_said(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump({**slo(), "kind": "Service"}))
    ran = rules("generate", file)
    assert (ran.exit_code, "there is no SLO in these files" in ran.stderr) == (2, True)


def test_a_directory_that_cannot_be_written(file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    ran = rules("generate", file, "--out", tmp_path / "out" / "deep")
    assert ran.exit_code == 1
    assert "cannot be written" in ran.stderr


def promtool(path: Path, exit_code: int) -> Path:
    """A promtool that says what it was asked, and ends as told."""
    path.write_text(
        f'#!/bin/sh\necho "asked: $1 $2 $3" >&2\n[ "$1" = check ] && exit 0\nexit {exit_code}\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_verdict_is_promtools(file: Path, tmp_path: Path) -> None:
    well = rules("test", file, "--promtool", promtool(tmp_path / "good", 0))
    assert (well.exit_code, well.stdout) == (0, f"{file}: 2 SLOs tested, ok\n")
    bad = rules(
        "test", file, "--promtool", promtool(tmp_path / "bad", 1), "--out", tmp_path / "out"
    )
    assert (bad.exit_code, bad.stdout) == (1, f"{file}: failed\n")
    assert "asked: test rules" in bad.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "shop.rules.yaml",
        "shop.test.yaml",
    ]


def test_stand_ins_are_told(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    odd = slo(
        "odd",
        indicator={"thresholdMetric": metric("a / b")},
        objectives=[{"target": 0.9, "op": "lt", "value": 1}],
    )
    file.write_text(yaml.safe_dump_all([slo("plain"), odd]))
    out = tmp_path / "out"
    ran = rules("test", file, "--promtool", promtool(tmp_path / "good", 0), "--out", out)
    assert ran.stdout == f"{file}: 2 SLOs tested, ok, 1 of them with a stand-in for its query\n"
    assert {p.name for p in out.iterdir()} == {
        "x.rules.yaml", "x.test.yaml", "x.stand-in.rules.yaml", "x.stand-in.test.yaml",
    }  # fmt: skip
