"""Docs that fail when they are stale: generated parts, commands, the example, links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from scripts.docs import refreshed
from sloguard.cli.main import COMMANDS, cli
from sloguard.spec import read

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def blocks(kind: str) -> list[str]:
    """Every fenced block of a kind in the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [body for language, body in _FENCE.findall(text) if language == kind]


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_generated_parts_are_fresh(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert refreshed(text) == text, "run 'make docs'"


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def commands() -> list[str]:
    lines = "\n".join(blocks("sh")).replace("$ ", "").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.startswith("sloguard ")]


@pytest.mark.parametrize("line", commands())
def test_commands_of_the_readme_are_understood(line: str) -> None:
    words = shlex.split(line)[1:]
    with click.Context(cli) as context:
        command = cli.get_command(context, words[0])
        assert command is not None
        # Unknown options and choices raise; files need not be there.
        command.make_parser(click.Context(command)).parse_args(words[1:])


def test_the_example_of_the_readme_is_a_valid_experiment(tmp_path: Path) -> None:
    example = next(b for b in blocks("yaml") if b.startswith("title:"))
    file = tmp_path / "example.yaml"
    file.write_text(example)
    loaded = read(file)
    assert loaded.warnings == ()
    assert [slo.name for slo in loaded.experiment.slos] == ["error-ratio", "p99-latency"]


def test_the_readme_names_the_make_targets() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    assert all(f"### sloguard {name}\n" in text for name in COMMANDS)


def test_the_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = [p.stem for p in (ROOT / "sloguard").iterdir() if not p.name.startswith(("_", "py."))]
    assert [room for room in rooms if f"`{room}" not in text] == []
