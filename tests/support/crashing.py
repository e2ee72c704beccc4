"""Injecting in a process that is killed at a chosen moment, and undoing from the record in another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Moments: "planned" (the record is written, nothing done), "saving N" (inside the Nth save of a newer
# record, before it is written), "saved N" (right after it was), "injected" (the injection has returned).
_INJECT = """
import json, sys, time
from sloguard.faults.base import Context, find_fault
name, arguments, path, moment = json.loads(sys.argv[1])
made, saves = find_fault(name), 0
def reached(here):
    if here == moment:
        print("now", flush=True)
        time.sleep(600)
def write(record):
    with open(path, "w") as file:
        json.dump(record, file)
def save(record):
    global saves
    saves += 1
    reached(f"saving {saves}")
    write(record)
    reached(f"saved {saves}")
injection = made.plan(arguments, Context(seed=1)).injections[0]
write(injection.record)
reached("planned")
made.inject(injection, Context(save=save))
reached("injected")
print("not reached", flush=True)
"""

_UNDO = """
import json, sys
from sloguard.faults.base import Context, find_fault
name, record = json.loads(sys.argv[1])
saved = []
done = find_fault(name).undo(record, Context(save=saved.append))
print(json.dumps([done, saved[-1] if saved else record]))
"""


def _python(code: str, given: Any, **more: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(given)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        **more,
    )


def start_injecting(
    name: str, arguments: Mapping[str, Any], path: Path, moment: str = "never"
) -> subprocess.Popen[str]:
    """A process that plans and injects, and stays at ``moment``; its record is in ``path``."""
    return _python(_INJECT, [name, dict(arguments), str(path), moment])


def killed_at(moment: str, name: str, arguments: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Inject in a process that is SIGKILLed at ``moment``; the last record it had made durable."""
    with start_injecting(name, arguments, path, moment) as process:
        assert process.stdout
        said = process.stdout.readline().strip()
        process.kill()
    assert said == "now", f"{moment}: {said!r}"
    return dict(json.loads(path.read_text()))


def undone_elsewhere(name: str, record: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Undo in a new process: what it said, and the record as it stands then."""
    with _python(_UNDO, [name, dict(record)]) as process:
        assert process.stdout
        text = process.stdout.read()
    assert process.returncode == 0
    done, newer = json.loads(text)
    return done, newer
