"""What processes that sloguard starts are given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sloguard.settings import Settings


def child_environ(settings: Settings, config: Path | None = None) -> dict[str, str]:
    """An environment in which a process of ours reads the same settings, flags and all.

    Flags may hold credentials, and the command line of a process is for everybody to see.
    """
    from sloguard.settings import describe, find_file
    from sloguard.settings.reading import CONFIG_VARIABLE

    environ = dict(os.environ)
    file = config or find_file(os.environ)
    if file is not None:
        environ[CONFIG_VARIABLE] = str(file.absolute())
    for setting in describe():
        if settings.origins.get(setting.name) == "command line":
            value = getattr(getattr(settings, setting.group), setting.key)
            environ[setting.env] = _as_text(value)
    return environ


def _as_text(value: Any) -> str:
    """As the environment gives it."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={text}" for key, text in value.items())
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
