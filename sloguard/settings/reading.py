"""Settings from flags, environment, file and defaults, in this order of precedence."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sloguard.documents.files import read_document, read_text
from sloguard.documents.problems import DocumentError, Problem, did_you_mean, nearest
from sloguard.documents.tree import Node, shown
from sloguard.settings.channels import PATH as CHANNELS
from sloguard.settings.channels import read_channels
from sloguard.settings.groups import GROUPS, Settings
from sloguard.settings.notify import ChannelSettings
from sloguard.settings.table import PREFIX, Setting, describe
from sloguard.settings.values import Unfit, convert

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
#: Secrets that may stand in a file, whose setting has the same name and ``_file``.
_FROM_FILES = (
    "prometheus.password",
    "prometheus.token",
    "store.url",
    "grafana.password",
    "grafana.token",
    "alertmanager.password",
    "alertmanager.token",
)


class SettingsError(DocumentError):
    """Everything that is wrong with the settings, each with where it came from."""


def load_settings(
    file: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    directory: Path | None = None,
) -> Settings:
    """Read all settings; raises SettingsError with every problem.

    ``file``: the file that a flag names; else the one of ``find_file``. ``flags``: values of the command
    line by the setting's name (``{"prometheus.url": …}``); None stands for a flag that was not given.
    ``directory``: where ``sloguard.yaml`` is looked for, the current one by default.
    """
    environ = os.environ if environ is None else environ
    reader = _Reader()
    path = find_file(environ, directory) if file is None else Path(file)
    if path is not None:
        reader.read_file(path)
    reader.read_environ(environ)
    reader.read_flags(flags or {})
    reader.read_secret_files()
    if reader.problems:
        raise SettingsError(reader.problems)
    values = {**_data_paths(environ), **reader.values}
    groups: dict[str, Any] = {
        group: kind(
            **{k.partition(".")[2]: v for k, v in values.items() if k.startswith(f"{group}.")}
        )
        for group, kind in GROUPS.items()
    }
    return Settings(**groups, channels=reader.channels, origins=reader.origins)


def find_file(environ: Mapping[str, str], directory: Path | None = None) -> Path | None:
    """SLOGUARD_CONFIG, else ./sloguard.yaml, else $XDG_CONFIG_HOME/sloguard/sloguard.yaml; or None."""
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    home = environ.get("XDG_CONFIG_HOME") or Path(_home(environ), ".config")
    places = [directory or Path(), Path(home, "sloguard")]
    candidates = [place / f"sloguard.{end}" for place in places for end in ("yaml", "yml")]
    return next((path for path in candidates if path.is_file()), None)


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or os.path.expanduser("~")


def _data_paths(environ: Mapping[str, str]) -> dict[str, Any]:
    data = Path(environ.get("XDG_DATA_HOME") or Path(_home(environ), ".local", "share"), "sloguard")
    return {"store.url": str(data / "sloguard.db"), "store.locks": data / "locks"}


class _Reader:
    """Collects values, where they came from, and problems; a later source replaces an earlier one."""

    def __init__(self) -> None:
        self.known = {setting.name: setting for setting in describe()}
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.channels: tuple[ChannelSettings, ...] = ()

    def read_file(self, path: Path) -> None:
        """``group: {key: value}`` in YAML or JSON."""
        try:
            document = read_document(path)
        except DocumentError as error:
            self.problems.extend(error.problems)
            return
        if not document.root.is_mapping:
            at = Problem(f"found {shown(document.root)}", "", document.file, document.root.line)
            expected = "groups of settings: " + ", ".join(GROUPS)
            self.problems.append(dataclasses.replace(at, expected=expected))
            return
        for group, node in document.root.value.items():
            self._group(group, node, document.root.place(group), document.file)

    def _group(self, group: str, node: Node, place: tuple[int, int], file: str) -> None:
        if group.startswith("x-") or (group in GROUPS and node.value is None):
            return
        at = Problem("", "", file, *place)
        if group not in GROUPS:
            self._refuse(
                at, f"unknown group '{group}'", ", ".join(GROUPS), did_you_mean(group, list(GROUPS))
            )
            return
        if not node.is_mapping:
            self._refuse(at, f"'{group}' is {shown(node)}", "a mapping of settings")
            return
        keys = [field.name for field in dataclasses.fields(GROUPS[group])]
        for key, child in node.value.items():
            line, column = node.place(key)
            at = Problem("", f"{group}.{key}", file, line, column)
            if f"{group}.{key}" == CHANNELS:
                self.channels, problems = read_channels(child, file)
                self.problems += problems
            elif key not in keys:
                self._refuse(
                    at, f"unknown setting '{key}'", ", ".join(keys), did_you_mean(key, keys)
                )
            elif child.value is not None:
                self._take(f"{group}.{key}", child.plain(), at, f"{file}:{line}")

    def read_environ(self, environ: Mapping[str, str]) -> None:
        """``SLOGUARD_GROUP_KEY``; an empty variable counts as not set."""
        by_env = {setting.env: setting.name for setting in describe()}
        for env, value in sorted(environ.items()):
            if not env.startswith(PREFIX) or env == CONFIG_VARIABLE or not value:
                continue
            at = Problem("", file=env)
            if env in by_env:
                self._take(by_env[env], value, at, env)
            # Others may use the prefix for things of their own; what looks like ours has to be ours.
            elif env.split("_")[1].lower() in GROUPS or nearest(env, list(by_env), 0.9):
                self._refuse(
                    at,
                    "unknown setting",
                    "",
                    did_you_mean(env, list(by_env)),
                )

    def read_flags(self, flags: Mapping[str, Any]) -> None:
        """Values of the command line."""
        for name, value in flags.items():
            if value is not None:
                self._take(name, value, Problem("", name, "command line"), "command line")

    def read_secret_files(self) -> None:
        """Between a secret and the file that holds it the stronger source wins; one source names one."""
        for name in _FROM_FILES:
            source = f"{name}_file"
            if source not in self.values:
                continue
            if name in self.values and self._rank(name) == self._rank(source):
                at = Problem("", source, self.origins[source])
                self._refuse(at, f"{name} is set as well", "one of the two")
            elif name in self.values and self._rank(name) > self._rank(source):
                del self.values[source]
            else:
                self._from_file(name, source)

    def _from_file(self, name: str, source: str) -> None:
        self.values.pop(name, None)
        if name.endswith(".token"):
            return  # read again for every request
        try:
            self.values[name] = read_text(self.values[source]).strip()
            self.origins[name] = str(self.values[source])
        except DocumentError as error:
            self.problems.extend(dataclasses.replace(p, path=source) for p in error.problems)

    def _rank(self, name: str) -> int:
        origin = self.origins.get(name, "")
        return (
            3
            if origin == "command line"
            else 2
            if origin.startswith(PREFIX)
            else 1
            if origin
            else 0
        )

    def _take(self, name: str, value: Any, at: Problem, origin: str) -> None:
        setting: Setting = self.known[name]
        try:
            self.values[name] = convert(setting, value)
            self.origins[name] = origin
        except Unfit as error:
            near = did_you_mean(str(value), setting.choices) if setting.choices else ""
            self._refuse(
                at, f"{name}: {error}" if not at.path else str(error), setting.expected, near
            )

    def _refuse(self, at: Problem, message: str, expected: str, hint: str = "") -> None:
        self.problems.append(dataclasses.replace(at, message=message, expected=expected, hint=hint))
