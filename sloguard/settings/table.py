"""The list of all settings, read from the dataclasses: one source for reading and for the documentation."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from sloguard.settings.fields import Kind
from sloguard.settings.groups import GROUPS

PREFIX = "SLOGUARD_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``name``: ``prometheus.url``, as in the file; ``env``: its environment variable.

    ``default`` is what applies without it, as text. ``secret``: its value is never shown.
    """

    name: str
    env: str
    kind: Kind
    default: str
    doc: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    most: float | None = None
    secret: bool = False

    @property
    def group(self) -> str:
        """``prometheus``."""
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        """``url``."""
        return self.name.partition(".")[2]

    @property
    def expected(self) -> str:
        """What a value must look like, to complete "expected …"."""
        limits = {"at least": self.least, "above": self.above, "at most": self.most}
        words = " and ".join(
            f"{how} {limit:g}" for how, limit in limits.items() if limit is not None
        )
        what = {
            "text": "text",
            "flag": "true or false",
            "whole": "a whole number",
            "number": "a number",
            "duration": "a duration such as 30s, or a number of seconds",
            "path": "a file's path",
            "choice": "one of " + ", ".join(self.choices),
            "mapping": "names with texts (NAME=TEXT, NAME=TEXT in the environment)",
            "list": "a list of texts (TEXT, TEXT in the environment)",
        }[self.kind]
        return f"{what}, {words}" if words else what


@functools.cache
def describe() -> tuple[Setting, ...]:
    """Every setting, group by group."""
    return tuple(_setting(group, field) for group, kind in GROUPS.items() for field in fields(kind))


def _setting(group: str, field: Field[Any]) -> Setting:
    about: Mapping[str, Any] = field.metadata
    return Setting(
        name=f"{group}.{field.name}",
        env=f"{PREFIX}{group}_{field.name}".upper(),
        default=about["shown"] or _default_text(field, about["kind"]),
        **{
            key: about[key]
            for key in ("kind", "doc", "choices", "least", "above", "most", "secret")
        },
    )


def _default_text(field: Field[Any], kind: Kind) -> str:
    if field.default is MISSING or field.default in ("", None, ()):
        return ""
    if kind == "flag":
        return "true" if field.default else "false"
    if kind == "duration":
        return f"{field.default:g}s"
    return str(field.default)
