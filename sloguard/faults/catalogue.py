"""What faults there are, read from their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import types
import typing
from dataclasses import asdict, dataclass
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.base import Fault, all_faults, find_fault


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a fault. ``type`` as people read it; ``default`` JSON, None where required."""

    name: str
    type: str
    required: bool
    default: Json
    doc: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault: ``name`` for people, ``module`` and ``func`` for an experiment."""

    name: str
    module: str
    func: str
    summary: str
    doc: str
    arguments: tuple[Argument, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def catalogue() -> tuple[Entry, ...]:
    """Every fault, by name. Imports all families."""
    return tuple(_entry(made) for made in all_faults())


def entry(name: str) -> Entry:
    """The fault of this name; raises FaultError with the nearest one."""
    return _entry(find_fault(name))


def _entry(made: Fault) -> Entry:
    planner = made.planner
    text = inspect.getdoc(planner) or ""
    signature = inspect.signature(planner, eval_str=True)
    names = [name for name in signature.parameters if name != "context"]
    prose, docs = _split(text, names)
    summary, _, rest = prose.partition("\n\n")
    return Entry(
        name=made.name,
        module=planner.__module__,
        func=getattr(planner, "__name__", made.name),
        summary=" ".join(summary.split()),
        doc=rest.strip(),
        arguments=tuple(_argument(signature.parameters[n], docs.get(n, "")) for n in names),
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
