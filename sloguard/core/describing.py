"""What a function offers to an experiment, read from its signature and docstring."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any

from sloguard.core.model import Json


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument. ``type`` as people read it; ``default`` JSON, None where required."""

    name: str
    type: str
    required: bool
    default: Json
    doc: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault or probe: ``name`` for people, ``module`` and ``func`` for an experiment, ``type`` action or
    probe. ``also``: names of drivers of the Chaos Toolkit that it stands in for."""

    name: str
    module: str
    func: str
    summary: str
    doc: str
    arguments: tuple[Argument, ...]
    type: str = "action"
    also: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def described(
    name: str, function: Callable[..., Any], kind: str = "action", left_out: Collection[str] = ()
) -> Entry:
    """The entry of a function whose docstring has a summary, prose, and a line ``name: text`` an argument."""
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function, eval_str=True)
    names = [name for name in signature.parameters if name not in left_out]
    prose, docs = _split(text, list(signature.parameters))
    summary, _, rest = prose.partition("\n\n")
    return Entry(
        name=name,
        module=function.__module__,
        func=getattr(function, "__name__", name),
        summary=" ".join(summary.split()),
        doc=rest.strip(),
        arguments=tuple(_argument(signature.parameters[n], docs.get(n, "")) for n in names),
        type=kind,
    )


def _argument(parameter: inspect.Parameter, doc: str) -> Argument:
    required = parameter.default is inspect.Parameter.empty
    default = None if required else parameter.default
    return Argument(parameter.name, _type(parameter.annotation), required, default, doc)


def _split(text: str, names: list[str]) -> tuple[str, dict[str, str]]:
    """The prose, and the text of each argument: ``name: text``, its further lines indented."""
    if not names:
        return text, {}
    start = re.compile(rf"^({'|'.join(map(re.escape, names))}): (.*)$")
    prose: list[str] = []
    docs: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        found = start.match(line)
        if found:
            current = found.group(1)
            docs[current] = found.group(2).strip()
        elif current and line.startswith(" ") and line.strip():
            docs[current] = f"{docs[current]} {line.strip()}"
        else:
            current = ""
            prose.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(prose)).strip(), docs


_WORDS = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "list",
    dict: "mapping",
}


def _type(annotation: Any) -> str:
    """``int | list[int] | None`` -> ``integer or list of integer``."""
    if annotation in (Any, inspect.Parameter.empty):
        return "any"
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        words = [_type(member) for member in members if member is not type(None)]
        return " or ".join(dict.fromkeys(words))
    if origin is typing.Literal:
        return " or ".join(repr(member) for member in members)
    word = _WORDS.get(origin or annotation) or getattr(origin or annotation, "__name__", "any")
    if word in ("Sequence", "list") and members:
        return f"list of {_type(members[0])}"
    return "mapping" if word == "Mapping" else str(word)
