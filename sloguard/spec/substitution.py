"""``${name}`` -> its value, exactly as the Chaos Toolkit does it.

- The first of ``configuration`` and then the groups of ``secrets``, in their order, that knows the name.
- A text that is nothing but ``${name}`` becomes the value itself, of whatever type; inside other text
  the value is written as text. ``$name`` works inside text as well, and ``$$`` stands for ``$``.
- An unknown name, and anything else behind a ``$`` (``$1`` in a label_replace), stays as written.
- Values are replaced, in mappings and lists at any depth; keys are not, and what was put in is not
  looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sloguard.core.model import Json

_NAME = r"[_a-zA-Z][_a-zA-Z0-9]*"
_PATTERN = re.compile(rf"\$(?:(?P<dollar>\$)|\{{(?P<braced>{_NAME})\}}|(?P<bare>{_NAME}))")
_LONE = re.compile(rf"\$\{{({_NAME})\}}")


def substitute(
    value: Any, configuration: Mapping[str, Json] | None, secrets: Mapping[str, Json] | None
) -> Any:
    """A copy of ``value`` with every known variable replaced; ``secrets``: group -> name -> value."""
    return Scope(configuration, secrets).fill(value)


def fill_provider(
    provider: Mapping[str, Any],
    configuration: Mapping[str, Json] | None,
    secrets: Mapping[str, Json] | None,
) -> dict[str, Any]:
    """A provider, substituted. Where there are no variables at all its arguments stay as written.

    So ``$$``, the shell's own number, is one there in the Chaos Toolkit too.
    """
    scope = Scope(configuration, secrets)
    bare = not configuration and not secrets
    return {k: v if bare and k == "arguments" else scope.fill(v) for k, v in provider.items()}


class Scope:
    """The variables that a substitution can see, the configuration before the secrets."""

    def __init__(
        self, configuration: Mapping[str, Json] | None, secrets: Mapping[str, Json] | None = None
    ) -> None:
        groups = [configuration or {}, *(secrets or {}).values()]
        # A secret outside any group is no mapping, and no name leads to it.
        self._groups = [group for group in groups if isinstance(group, Mapping)]

    def __contains__(self, name: str) -> bool:
        return any(name in group for group in self._groups)

    def __getitem__(self, name: str) -> Json:
        for group in self._groups:
            if name in group:
                return group[name]
        raise KeyError(name)

    @property
    def names(self) -> list[str]:
        """Every name, in the order in which they are looked up."""
        return list(dict.fromkeys(name for group in self._groups for name in group))

    def fill(self, value: Any) -> Any:
        """A copy of ``value`` with every known variable replaced."""
        if isinstance(value, str):
            return self.fill_text(value)
        if isinstance(value, Mapping):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(item) for item in value]
        return value

    def fill_text(self, text: str) -> Any:
        """One text: of any type if it is a lone ``${name}``, else text."""
        if "$" not in text:
            return text
        lone = _LONE.fullmatch(text)
        if lone and lone[1] in self:
            return self[lone[1]]
        return _PATTERN.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name = match["braced"] or match["bare"]
        return str(self[name]) if name in self else match[0]


def braced_names(text: str) -> Iterator[str]:
    """The names written as ``${name}``, in their order."""
    for match in _PATTERN.finditer(text):
        if match["braced"]:
            yield match["braced"]


def texts_variables(value: Any) -> Iterator[str]:
    """The names written as ``${name}`` in a text, or in the texts of a list or mapping."""
    if isinstance(value, str):
        yield from braced_names(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_variables(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_variables(item)
