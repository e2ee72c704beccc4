"""scripts/setup.sh in worlds made of links and little programs: what it asks for, and whom it leaves alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "setup.sh"
TOOLS = ("awk", "bash", "dirname", "sha256sum", "env", "grep", "mkdir", "mv", "rm", "flock")


class World:
    """A clone and a PATH that holds what the test puts there, and a log of what was called."""

    def __init__(self, root: Path) -> None:
        self.clone, self.bin, self.log = root / "clone", root / "bin", root / "calls"
        (self.clone / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(SCRIPT, self.clone / "scripts" / "setup.sh")
        for lock in ("requirements.lock", "requirements-dev.lock"):
            (self.clone / lock).write_text("nothing==1.0 --hash=sha256:00\n")
        (self.clone / "pyproject.toml").write_text("[project]\n")
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)

    def has(self, name: str, does: str = "exit 0") -> None:
        program = self.bin / name
        program.write_text(f'#!{self.bin}/bash\necho "{name} $*" >>"{self.log}"\n{does}\n')
        program.chmod(0o755)

    def has_venv(self) -> None:
        """As if an earlier setup had finished here."""
        python = self.clone / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        (self.clone / ".venv" / "chaostoolkit").mkdir()
        python.write_text(f'#!{self.bin}/bash\necho "python $*" >>"{self.log}"\n')
        python.chmod(0o755)
        sums = [
            f"{hashlib.sha256((self.clone / name).read_bytes()).hexdigest()}  {name}\n"
            for name in ("requirements-dev.lock", "pyproject.toml")
        ]
        (self.clone / ".venv" / ".setup").write_text("".join(sums) + f"{self.clone.resolve()}\n")

    def setup(self, *groups: str) -> subprocess.CompletedProcess[str]:
        # Only what is in bin counts; tc and its like would be found in /sbin otherwise.
        return subprocess.run(
            [str(self.bin / "bash"), str(self.clone / "scripts" / "setup.sh"), *groups],
            env={"PATH": str(self.bin)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_silent_and_calls_nothing_when_all_is_there(world: World) -> None:
    world.has_venv()
    for name in ("prometheus", "promtool", "alertmanager", "chromium", "tc"):
        world.has(name)
    done = world.setup("demo", "test", "lint")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert world.calls == []


def test_without_root_it_says_what_to_run_and_installs_nothing(world: World) -> None:
    world.has_venv()
    world.has("id", "echo 1000")
    world.has("apt-get")
    done = world.setup("demo")
    assert done.returncode == 1
    assert (
        "apt-get update && apt-get install -y --no-install-recommends prometheus prometheus-alertmanager"
        in done.stderr
    )
    assert not [call for call in world.calls if call.startswith("apt-get")]


def test_only_what_is_missing_is_asked_for(world: World) -> None:
    world.has_venv()
    world.has("id", "echo 1000")
    world.has("apt-get")
    world.has("prometheus")
    done = world.setup("demo")
    assert "install -y --no-install-recommends prometheus-alertmanager\n" in done.stderr


def test_a_machine_without_apt_is_told_the_names(world: World) -> None:
    world.has_venv()
    done = world.setup("demo")
    assert done.returncode == 1
    assert "not found: prometheus prometheus-alertmanager" in done.stderr


def test_an_old_python_is_refused(world: World) -> None:
    world.has("python3", "exit 1")
    done = world.setup()
    assert done.returncode == 1
    assert "no Python 3.11 or newer found" in done.stderr


def test_an_unknown_group_is_a_mistake_of_the_caller(world: World) -> None:
    done = world.setup("demon")
    assert done.returncode == 2
    assert "unknown group 'demon'" in done.stderr


def test_a_changed_lock_installs_again_with_hashes_and_nothing_unpinned(world: World) -> None:
    world.has_venv()
    (world.clone / "requirements-dev.lock").write_text("nothing==2.0 --hash=sha256:00\n")
    done = world.setup("lint")
    assert done.returncode == 0, done.stderr
    pip = "python -m pip --disable-pip-version-check --no-input -q install"
    assert f"{pip} --require-hashes -r requirements-dev.lock" in world.calls
    assert f"{pip} --no-deps --no-build-isolation -e ." in world.calls
    world.log.unlink()
    assert world.setup("lint").stderr == ""
    assert world.calls == []


def test_an_installation_that_failed_is_not_taken_for_done(world: World) -> None:
    world.has_venv()
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (world.clone / lock).write_text("nothing==2.0 --hash=sha256:00\n")
    python = world.clone / ".venv" / "bin" / "python"
    python.write_text(f'#!{world.bin}/bash\n[[ "$*" != *install* ]]\n')
    for _ in range(2):
        done = world.setup()
        assert done.returncode == 1
        assert "pip could not install requirements.lock" in done.stderr


def test_the_linter_of_shell_scripts_has_nothing_to_say() -> None:
    linter = shutil.which("shellcheck")
    if not linter:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([linter, str(SCRIPT)], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout


LOCK = """\
chaostoolkit==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:01
    # via somebody
chaostoolkit==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:02 \\
    --hash=sha256:03
    # via somebody
chaostoolkit-lib==2.1 ; python_full_version >= '3.12' \\
    --hash=sha256:04
chaostoolkit-reporting==9 ; python_full_version >= '3.12' \\
    --hash=sha256:05
"""


def test_the_chaos_toolkit_of_other_pythons_is_unpacked_with_hashes(world: World) -> None:
    (world.clone / "requirements-dev.lock").write_text(LOCK)
    world.has_venv()
    for name in ("prometheus", "promtool", "alertmanager", "chromium", "tc"):
        world.has(name)
    other = world.clone / ".venv" / "chaostoolkit"
    other.rmdir()
    # A Python that says it is older than 3.12, and whose pip makes the folder.
    python = world.clone / ".venv" / "bin" / "python"
    python.write_text(
        f'#!{world.bin}/bash\necho "python $*" >>"{world.log}"\n'
        f'if [[ $1 == -c ]]; then echo ">="; else mkdir "{other}.new"; fi\n'
    )
    done = world.setup("test")
    assert done.returncode == 0, done.stderr
    pip = "--ignore-requires-python --require-hashes -r .venv/chaostoolkit.lock"
    assert [call for call in world.calls if call.endswith(pip)]
    assert other.is_dir()
    hashes = [line.strip(" \\") for line in Path(f"{other}.lock").read_text().splitlines()]
    assert hashes == [
        "chaostoolkit==2.0",
        "--hash=sha256:02",
        "--hash=sha256:03",
        "chaostoolkit-lib==2.1",
        "--hash=sha256:04",
    ]
    world.log.unlink()
    assert world.setup("test").returncode == 0
    assert world.calls == []
