"""What kustomize makes of deploy/."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.deploy import COMPONENTS, OVERLAYS, ROOT

DEPLOY = ROOT / "deploy"
#: What is built by itself.
ALONE = ["base", *sorted(f"overlays/{path.name}" for path in OVERLAYS.iterdir())]
#: What people put together in an overlay of their own: resources, components.
TOGETHER = {
    "base and every component": (
        ["base"],
        sorted(f"components/{path.name}" for path in COMPONENTS.iterdir()),
    ),
    "namespace, watched": (["overlays/namespace"], ["components/monitoring"]),
    "namespace, with replicas": (["overlays/namespace"], ["components/postgresql"]),
    "cluster, by Jobs": (["overlays/cluster"], ["components/kubernetes-executor"]),
    "cluster and all beside it": (
        ["overlays/cluster", "overlays/alertmanager"],
        [
            "components/monitoring",
            "components/grafana",
            "components/random-chaos",
            "components/weekly-report",
        ],
    ),
}
BUILDS = [*ALONE, *TOGETHER]
Object = dict[str, Any]


@cache
def _kustomizes() -> bool:
    """Components came with the kustomize of kubectl 1.21."""
    if not shutil.which("kubectl"):
        return False
    ran = subprocess.run(
        ["kubectl", "version", "--client", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    version = json.loads(ran.stdout or "{}").get("clientVersion", {})
    minor = re.match(r"\d+", str(version.get("minor", "")))
    return bool(minor) and int(minor.group()) >= 21


needs_kubectl = pytest.mark.skipif(not _kustomizes(), reason="kubectl 1.21 or newer is missing")


@cache
def built(name: str) -> tuple[Object, ...]:
    """All objects of one of BUILDS."""
    if name not in TOGETHER:
        return _built(DEPLOY / name)
    resources, components = TOGETHER[name]
    with tempfile.TemporaryDirectory() as folder:
        return _built(_joined(Path(folder).resolve(), resources, components))


def _joined(folder: Path, resources: Sequence[str], components: Sequence[str]) -> Path:
    def seen(names: Sequence[str]) -> list[str]:
        return [os.path.relpath(DEPLOY / name, folder) for name in names]

    declared = {"resources": seen(resources), "components": seen(components)}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(declared))
    return folder


def _built(folder: Path) -> tuple[Object, ...]:
    ran = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "deprecated" not in ran.stderr
    return tuple(yaml.load_all(ran.stdout, yaml.CSafeLoader))


def templates(name: str) -> list[Object]:
    """Every pod template."""
    found = []
    for one in built(name):
        spec = one.get("spec") or {}
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found.append(spec["template"])
    return found


def pods(name: str) -> list[Object]:
    """The spec of every pod template."""
    return [template["spec"] for template in templates(name)]
