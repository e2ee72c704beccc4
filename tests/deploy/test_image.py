"""The image: what its Dockerfile takes is there, and what it holds runs as its pod runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import urllib.request
from fnmatch import fnmatch
from pathlib import Path

import pytest

from scripts.deploy import ROOT
from tests.support.served import PATIENCE, Served

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
#: As in deploy/base/deployment.yaml.
USER = "65532"
#: Become the command, as that user without any privilege, where nothing may be written but a /tmp and the data of its own.
#: What others may not enter is replaced by an empty folder that holds nothing but what is needed of it.
CONFINED = f"""
set -e
mount --make-rprivate /
mount --bind "$DATA" /mnt
number=0
for path in $NEEDED; do
  number=$((number + 1))
  mkdir "$SCRATCH/$number"
  mount --bind "$path" "$SCRATCH/$number"
done
mkdir "$SCRATCH/tmp"
chmod 1777 "$SCRATCH/tmp"
cd "$SCRATCH"
for path in $CLOSED; do mount -t tmpfs -o mode=755 none "$path"; done
number=0
for path in $NEEDED; do
  number=$((number + 1))
  mkdir -p "$path"
  mount --bind "./$number" "$path"
  mount -o remount,ro,bind "$path"
done
for path in $CLOSED; do mount -o remount,ro "$path"; done
mount --bind ./tmp /tmp
mount -o remount,ro,bind /
cd /tmp
exec setpriv --reuid {USER} --regid {USER} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""


def closed_folders(path: Path) -> list[Path]:
    """The uppermost folder on the way to a path that others may not enter, if there is one."""
    above = [*reversed(path.parents), path]
    return [one for one in above if not one.stat().st_mode & stat.S_IXOTH][:1]


def surroundings(folder: Path) -> dict[str, str]:
    """What CONFINED is told, as environment."""
    given = {"DATA": folder / "data", "SCRATCH": folder / "scratch"}
    for one in given.values():
        one.mkdir()
        os.chown(one, int(USER), int(USER))
    needed = [path for path in (Path(sys.base_prefix), ROOT) if closed_folders(path)]
    closed = {str(one) for path in needed for one in closed_folders(path)}
    return {
        **{name: str(path) for name, path in given.items()},
        "NEEDED": " ".join(map(str, needed)),
        "CLOSED": " ".join(sorted(closed)),
    }


def instructions() -> list[tuple[str, str]]:
    """(Word, rest) of each instruction, lines that are continued joined."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (w, r.strip()) for w, _, r in (one.partition(" ") for one in joined.splitlines() if one)
    ]


def sent(path: str) -> bool:
    """Whether .dockerignore lets a path through; the last pattern that fits it or a folder above decides."""
    above = [path, *map(str, Path(path).parents)][:-1]
    kept = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").split():
        pattern = line.removeprefix("!").removeprefix("**/")
        if any(fnmatch(one, pattern) for one in above):
            kept = line.startswith("!")
    return kept


def test_what_is_copied_is_there_and_sent() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY"]
    names = [name for group in copied for name in group if not group[0].startswith("--from")]
    assert {"sloguard", "deploy/requirements.lock"} <= set(names)
    for name in names:
        assert (ROOT / name).exists(), name
        assert sent(name), f"{name} is left out by .dockerignore"
    for name in ("tests", ".git", ".venv", "deploy/overlays"):
        assert not sent(name)


def test_both_targets_run_as_nobody_in_particular() -> None:
    stages = {
        r.split(" AS ")[1]: r.split(" AS ")[0] for word, r in instructions() if word == "FROM"
    }
    # The last one is built where none is named.
    assert list(stages)[-1] == "sloguard"
    assert stages["sloguard"] == stages["with-drivers"] == "base"
    words = dict(instructions())
    assert words["USER"] == f"{USER}:{USER}"
    assert json.loads(words["ENTRYPOINT"]) == ["sloguard"]
    # The version of Python and of the system are named; a release pins the digest, too.
    assert re.fullmatch(r"PYTHON=python:3\.\d+-slim-[a-z]+", words["ARG"])
    pips = [rest for word, rest in instructions() if word == "RUN" and "install --require" in rest]
    assert len(pips) == 2
    assert all("--require-hashes" in rest for rest in pips)


WITHIN = ["unshare", "-m", "sh", "-c", CONFINED, "-"]


@pytest.fixture
def confined(tmp_path: Path) -> dict[str, str]:
    """The environment of WITHIN; the data is in /mnt."""
    if os.geteuid() or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("needs root, unshare and setpriv")
    if Path(ROOT).is_relative_to("/tmp"):
        pytest.skip("the code is in /tmp, which is another one there")
    given = surroundings(tmp_path)
    tried = [*WITHIN, sys.executable, "-c", "pass"]
    if subprocess.run(tried, env={**os.environ, **given}, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount")
    for one in Path(given["SCRATCH"]).iterdir():
        one.rmdir()
    return given


def test_nothing_is_writable_there(confined) -> None:
    script = 'for f in / /usr /var/tmp "$HOME" /etc; do touch "$f/x" 2>/dev/null && echo "$f"; done; touch /tmp/x /mnt/x; id -u'
    ran = subprocess.run(
        [*WITHIN, "sh", "-c", script],
        env={**os.environ, **confined, "HOME": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ran.stdout.split() == [USER], ran.stdout + ran.stderr


@pytest.mark.integration
def test_the_service_runs_on_a_read_only_root(confined, tmp_path: Path) -> None:
    """It starts, carries a run out, shows it, makes reports, and ends as it is told to."""
    own = Path(confined["DATA"], "experiments")
    own.mkdir()
    probe = {
        "type": "probe",
        "name": "fine",
        "tolerance": 0,
        "provider": {"type": "process", "path": "true"},
    }
    experiment = {
        "title": "Nothing",
        "description": "Takes no time.",
        "phases": {"before": 0, "during": 0, "after": 0},
        "steady-state-hypothesis": {"title": "It holds", "probes": [probe]},
        "method": [],
    }
    (own / "nothing.json").write_text(json.dumps(experiment))
    given = {
        **confined,
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "XDG_DATA_HOME": "/mnt",
        "XDG_CONFIG_HOME": "/tmp",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SLOGUARD_STORE_URL": "/mnt/sloguard.db",
        "SLOGUARD_STORE_LOCKS": "/mnt/locks",
        "SLOGUARD_SERVE_ALLOW": "/mnt/experiments=process",
    }
    served = Served(tmp_path, "--experiments", "/mnt/experiments", environ=given, within=WITHIN)
    try:
        served.wait_until_ready()
        body = json.dumps({"experiment": "nothing"}).encode()
        asked = urllib.request.Request(
            f"{served.url}/api/v1/runs", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            run = json.load(answer)["run"]
        status, told = served.get(f"/api/v1/runs/{run}/verdict?wait=30s")
        assert status == 200, (told, served.said())
        assert json.loads(told)["outcome"] == "met"
        assert served.get(f"/runs/{run}")[0] == 200
        assert sorted(p.name for p in Path(confined["DATA"]).glob("*.db")) == ["sloguard.db"]
        code, alive = served.end(signal.SIGTERM)
        assert (code, alive) == (0, []), served.said()
    finally:
        if served.process.poll() is None:
            served.end(signal.SIGKILL)
        served.log.close()
