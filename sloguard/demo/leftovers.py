"""A demo's directory after its death: what may be removed, and how."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sloguard.demo.layout import DemoError
from sloguard.host.identity import AnotherMachine, Identity
from sloguard.host.signals import send, wait_gone

PREFIX = "sloguard-demo-"


def read_manifest(directory: Path) -> Mapping[str, Any]:
    """What a demo wrote about itself; empty where there is nothing to read."""
    try:
        found = json.loads((directory / "manifest.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remove_leftovers() -> list[Path]:
    """Remove demos whose owner was killed together with their supervisor; returns their directories."""
    removed = []
    for directory in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        try:
            mine = (
                directory.is_dir() and directory.stat(follow_symlinks=False).st_uid == os.getuid()
            )
        except OSError:
            continue
        if mine and _abandoned(directory):
            remove(directory)
            removed.append(directory)
    return removed


def _abandoned(directory: Path) -> bool:
    owner = read_manifest(directory).get("owner")
    try:
        return owner is not None and not Identity.from_record(owner).alive()
    except (AnotherMachine, KeyError, ValueError):
        return False  # a directory shared with another container: its demo may well be alive


def remove(directory: Path) -> None:
    """Kill what the manifest names and still is what it was then, and remove the directory."""
    entries = read_manifest(directory).get("programs", {}).values()
    known = [Identity.from_record(entry["process"]) for entry in entries if entry.get("process")]
    signalled = [identity for identity in known if send(identity, signal.SIGKILL)]
    wait_gone(signalled, 2.0)  # whoever still writes would bring the directory back
    shutil.rmtree(directory, ignore_errors=True)


def make_room(directory: Path) -> None:
    """Make sure that nothing of value is in a directory that will be removed."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise DemoError(f"{directory} is not a directory")
    if _abandoned(directory):
        remove(directory)
    elif any(directory.iterdir()):
        raise DemoError(
            f"{directory} is not empty; the demo removes its directory in the end: name a new one"
        )
