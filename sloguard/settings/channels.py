"""``notify.channels``: a mapping of names to channels, every problem with its place."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from sloguard.documents.problems import Problem, did_you_mean
from sloguard.documents.tree import Node, shown
from sloguard.settings.notify import EVENTS, KEYS, ONE_OF, TYPES, ChannelSettings
from sloguard.settings.table import Setting
from sloguard.settings.values import Unfit, convert

PATH = "notify.channels"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_OUTCOMES = ("met", "deviated", "inconclusive", "not-started", "aborted", "not-restored")
_FIELDS = {field.name: field for field in dataclasses.fields(ChannelSettings)}


def key_setting(name: str) -> Setting:
    """One key of a channel as a setting; it has no environment variable."""
    about = _FIELDS[name].metadata
    given = {k: about[k] for k in ("kind", "doc", "choices", "least", "above", "most", "secret")}
    return Setting(name=f"{PATH}.NAME.{name}", env="", default=_default(name), **given)


def _default(name: str) -> str:
    """What applies without the key, as text."""
    field = _FIELDS[name]
    if field.metadata["shown"]:
        return str(field.metadata["shown"])
    if field.metadata["kind"] == "flag":
        return "true" if field.default else "false"
    if field.metadata["kind"] == "duration":
        return f"{field.default:g}s" if field.default else ""
    plain = field.default not in ("", None, (), 0, dataclasses.MISSING)
    return (
        str(field.default).lower()
        if plain and name == "method"
        else str(field.default)
        if plain
        else ""
    )


def read_channels(node: Node, file: str) -> tuple[tuple[ChannelSettings, ...], list[Problem]]:
    """All channels of a settings file, and what is wrong with them."""
    reader = _Reader(file)
    if node.value is None:
        return (), []
    if not node.is_mapping:
        reader.refuse(node, PATH, f"found {shown(node)}", "a mapping of channels by name")
        return (), reader.problems
    found = [reader.channel(name, child, node.place(name)) for name, child in node.value.items()]
    return tuple(channel for channel in found if channel is not None), reader.problems


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def refuse(
        self,
        at: Node | tuple[int, int],
        path: str,
        message: str,
        expected: str = "",
        hint: str = "",
    ) -> None:
        line, column = (at.line, at.column) if isinstance(at, Node) else at
        self.problems.append(Problem(message, path, self.file, line, column, expected, hint))

    def channel(self, name: str, node: Node, place: tuple[int, int]) -> ChannelSettings | None:
        """One channel; None where something is wrong with it."""
        path, before = f"{PATH}.{name}", len(self.problems)
        if not _NAME.fullmatch(name):
            expected = "letters, digits and - _ . , at most 40"
            self.refuse(place, path, f"'{name[:60]}' cannot be a channel's name", expected)
        if not node.is_mapping:
            self.refuse(place, path, f"found {shown(node)}", "a mapping with type")
            return None
        kind = node.get("type")
        word = str(kind.value).strip().lower() if kind is not None else ""
        if word not in TYPES:
            message = "'type' is missing" if kind is None else f"unknown type {shown(kind)}"
            hint = did_you_mean(word, TYPES)
            self.refuse(kind or place, f"{path}.type", message, "one of " + ", ".join(TYPES), hint)
            return None
        values = self._values(word, node, path)
        self._rules(word, values, node, path, place)
        if len(self.problems) > before:
            return None
        return ChannelSettings(name=name, **values)

    def _values(self, kind: str, node: Node, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, child in node.value.items():
            at = node.place(key)
            if key.startswith("x-") or (key in KEYS[kind] and child.value is None):
                continue
            if key not in KEYS[kind]:
                of = next((t for t in TYPES if key in KEYS[t]), "")
                message = f"'{key}' is a key of {of} channels" if of else f"unknown key '{key}'"
                hint = "" if of else did_you_mean(key, KEYS[kind])
                self.refuse(at, path, message, "one of " + ", ".join(KEYS[kind]), hint)
                continue
            setting = key_setting(key)
            try:
                values[key] = convert(setting, child.plain())
            except Unfit as error:
                near = did_you_mean(str(child.value), setting.choices) if setting.choices else ""
                self.refuse(at, f"{path}.{key}", str(error), setting.expected, near)
        return values

    def _rules(
        self,
        kind: str,
        values: dict[str, Any],
        node: Node,
        path: str,
        place: tuple[int, int],
    ) -> None:
        for ways in ONE_OF:
            given = [way for way in ways if way in values]
            if len(given) > 1:
                message = f"{' and '.join(given)} are both set"
                self.refuse(node.place(given[1]), path, message, "one of them")
        self._words(values, node, path, "events", tuple(EVENTS))
        self._words(values, node, path, "outcomes", _OUTCOMES)
        if "events" in values and "when" in values:
            self.refuse(node.place("when"), path, "when and events are both set", "one of them")
        for missing in _missing(kind, node):
            self.refuse(
                place, path, f"{missing} is missing", hint=f"a channel of type {kind} needs it"
            )

    def _words(
        self, values: dict[str, Any], node: Node, path: str, key: str, known: Sequence[str]
    ) -> None:
        for word in values.get(key, ()):
            if word not in known:
                hint = did_you_mean(word, known)
                expected = "one of " + ", ".join(known)
                self.refuse(node.place(key), f"{path}.{key}", f"unknown: '{word}'", expected, hint)


def _missing(kind: str, node: Node) -> list[str]:
    def given(*keys: str) -> bool:
        return any(node.get(key) is not None for key in keys)

    url, token = given("url", "url_file", "url_env"), given("token", "token_file", "token_env")
    if kind == "email":
        return [f"'{key}'" for key in ("host", "sender", "to") if not given(key)]
    if kind == "slack":
        if token:
            return [] if given("channel") else ["'channel', to which the bot writes,"]
        return [] if url else ["'url' of a webhook, or 'token' of a bot,"]
    return [] if url else ["'url' (or 'url_file', 'url_env')"]
