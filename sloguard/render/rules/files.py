"""Rules as files: for Prometheus itself, or as an object for its operator on Kubernetes. The same input gives the same
bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sloguard.core.service_levels import ServiceLevel
from sloguard.core.visible import visible
from sloguard.render.rules.groups import LevelRules, RulesError, rules_of

FORMATS = ("prometheus", "kubernetes")


def all_rules(levels: Iterable[ServiceLevel]) -> tuple[LevelRules, ...]:
    """The rules of several levels; raises RulesError with the problems of all."""
    made: list[LevelRules] = []
    problems: list[str] = []
    for level in levels:
        try:
            made.append(rules_of(level))
        except RulesError as error:
            problems += error.problems
    if problems:
        raise RulesError(problems)
    return tuple(made)


def rule_file(rules: Sequence[LevelRules], source: str) -> str:
    """A file for Prometheus's ``rule_files``; ``source`` is named in its first line."""
    groups = [group for one in rules for group in one.groups]
    return _header(rules, source) + as_yaml({"groups": groups})


def prometheus_rule(rules: Sequence[LevelRules], source: str, name: str) -> str:
    """The same as a PrometheusRule of the Prometheus operator."""
    groups = [group for one in rules for group in one.groups]
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": object_name(f"slo-{name}"),
            "labels": {"app.kubernetes.io/managed-by": "sloguard"},
        },
        "spec": {"groups": groups},
    }
    return _header(rules, source) + as_yaml(document)


def object_name(text: str) -> str:
    """A name that Kubernetes takes."""
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")[:253].strip("-.") or "slo"


def _header(rules: Sequence[LevelRules], source: str) -> str:
    lines = [f"Made by 'sloguard rules generate' from {source}: change that, and make this anew."]
    lines += [f"{one.level.name}: {note}" for one in rules for note in one.notes]
    return "".join(f"# {visible(line)}\n" for line in lines)


def as_yaml(document: Any) -> str:
    """YAML as people like to read it: keys in their order, long texts in one line, several lines as they are."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
            return super().increase_indent(flow, False)

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(
        document,
        Dumper=Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
        default_flow_style=False,
    )
