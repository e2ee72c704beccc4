"""How the tour starts `sloguard run`, and what an interruption does to it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from sloguard.demo.tour import subprocess_runner
from tests.support.patience import PATIENCE

REPORTS = """
import os, sys
print(sys.argv[1:], os.environ["DEMO_FRONT_URL"], file=open("said", "w"))
sys.exit(13)
"""

UNDOES = """
import sys, time
file = open("said", "w", buffering=1)
print("running", file=file)
try:
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.2)
    print("undone", file=file)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_the_options_and_the_environment_arrive_and_the_code_comes_back(
    here: Path,
) -> None:
    run_one = subprocess_runner("--charts", "out", command=(sys.executable, "-c", REPORTS))
    assert run_one(Path("delay.yaml"), {"DEMO_FRONT_URL": "http://front.test"}) == 13
    said = (here / "said").read_text()
    assert said.strip() == "['delay.yaml', '--charts', 'out'] http://front.test"


def test_an_interrupted_run_may_undo_before_it_ends(here: Path) -> None:
    def interrupt() -> None:
        deadline = time.monotonic() + PATIENCE
        while not (here / "said").exists() or "running" not in (here / "said").read_text():
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    run_one = subprocess_runner(command=(sys.executable, "-c", UNDOES))
    with pytest.raises(KeyboardInterrupt):
        run_one(Path("delay.yaml"), {})
    thread.join()
    assert (here / "said").read_text().split() == ["running", "undone"]
