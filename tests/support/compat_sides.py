"""A corpus of experiments run by several commands at once, each in one process for all of them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Certificates
from tests.support.command import ROOT, environment
from tests.support.compat_releases import MISSING, Release, installed, other
from tests.support.compat_runner import declared
from tests.support.compat_server import serving

CORPUS = ROOT / "tests" / "compat" / "corpus"
FILES = sorted(f.name for f in CORPUS.iterdir() if f.suffix in (".yaml", ".json"))
#: Enough for a machine that is slow and busy with other tests; alone it takes a tenth of it.
PATIENCE = 280

RELEASES = [installed(), *filter(None, [other()])]
on_each_release = pytest.mark.parametrize(
    "release",
    [pytest.param(r, id=r.series) for r in RELEASES]
    + [pytest.param(None, id="other", marks=pytest.mark.skip(MISSING))][: 2 - len(RELEASES)],
)

#: Side -> file -> what came of it.
Sides = dict[str, dict[str, Any]]


def run_corpus(
    home: Path, certificates: Certificates, sides: Mapping[str, tuple[str, Release | None]]
) -> Sides:
    """``sides``: name -> which command of ``compat_runner``, and of which release of the Chaos Toolkit."""
    with _asked(certificates) as more, contextlib.ExitStack() as stack:
        started = {}
        for side, (command, release) in sides.items():
            out = home / command / (release.series if release else "ours")
            out.mkdir(parents=True)
            path = release.path(ROOT) if release else str(ROOT)
            process = _start(command, out, environment(home, {**more, "PYTHONPATH": path}))
            stack.callback(process.wait)
            stack.callback(process.kill)
            started[side] = process, out / f"{command}.json"
        for side, (process, _) in started.items():
            _, said = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, f"{side}: {said}"
        return {side: json.loads(out.read_text("utf-8")) for side, (_, out) in started.items()}


@contextlib.contextmanager
def _asked(certificates: Certificates) -> Iterator[dict[str, str]]:
    """The servers that the corpus asks, as variables of the environment."""
    keys = certificates.certificate("server"), certificates.key("server")
    with serving() as plain, serving(*keys) as tls:
        yield {"COMPAT_URL": plain, "COMPAT_TLS_URL": tls, "LC_ALL": "C.UTF-8"}


def _start(command: str, out: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.compat_runner", command, str(CORPUS), str(out)],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def differing(name: str, release: Release | None) -> dict[str, list[str]]:
    """Row of the table -> patterns of what differs there from this release, as the file of the corpus says."""
    told = declared(CORPUS / name)
    of_release = told.get(f"differs-{release.series}") if release else None
    return {**(told.get("differs") or {}), **(of_release or {})}
