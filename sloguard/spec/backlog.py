"""The hypothesis backlog as a file: read with every problem at once, and told as JSON Schema."""

# ruff: noqa: ARG002 - one signature for all shapes and rules

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sloguard.core.backlog import ID_PATTERN, SCALE, WRITABLE, Backlog, Hypothesis, Status
from sloguard.documents.files import Document, parse_document, read_text
from sloguard.documents.problems import DocumentError, did_you_mean
from sloguard.documents.tree import Node, shown
from sloguard.spec import values as v
from sloguard.spec.errors import FAILED, Misfit, Reader, SpecError
from sloguard.spec.shapes import ByType, Json, Key, ListOf, Scalar
from sloguard.spec.substitution import Scope
from sloguard.spec.tables import Table

#: What such a file is usually called; found beside experiments under these names.
FILE_NAMES = ("backlog.yaml", "backlog.yml", "backlog.json")
_LINK = re.compile(r"(?:https?://|mailto:)\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Plain(Scalar):
    """A value of a file without variables."""

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if node.value is None:
            return reader.problem(node, path, "there is no value", self.expected)
        try:
            return self.convert(node.plain())
        except ValueError as error:
            message = str(error) or f"found {shown(node)}"
            expected = "" if "expected" in message else self.expected
            hint = getattr(error, "hint", "") or (node.trap and f"{node.trap}: put it in quotes")
            return reader.problem(node, path, message, expected, hint)

    def schema(self, defs: Json) -> Json:
        return dict(self.form)


def _id(value: Any) -> str:
    given = v.name(value)
    if not re.fullmatch(ID_PATTERN, given):
        better = re.sub(r"[^A-Za-z0-9._-]+", "-", given).strip("-._")
        hint = f"did you mean '{better}'?" if better else ""
        raise Misfit(f"'{given}' cannot stand in an address", hint)
    return given


def _step(value: Any) -> int:
    """1 to 5, or a word for it."""
    if isinstance(value, str):
        word = re.sub(r"[\s_-]+", " ", value.strip().lower())
        if word in SCALE:
            return SCALE[word]
        raise Misfit(f"found the text {value!r}", did_you_mean(word, list(SCALE)))
    if isinstance(value, bool) or not isinstance(value, int) or value not in SCALE.values():
        raise ValueError("")
    return value


def _status(value: Any) -> Status:
    words = [str(status) for status in WRITABLE]
    if value == Status.RUNNING:
        raise Misfit("found 'running'", "that a run is under way is known without being written")
    return Status(v.one_of(words)(value))


def _link(value: Any) -> str:
    given = v.name(value)
    if not _LINK.fullmatch(given):
        raise ValueError(f"found {given!r}")
    return given


def _path(value: Any) -> str:
    given = v.name(value)
    if "\\" in given:
        raise Misfit(f"found {given!r}", "parts of a path are told apart by '/'")
    return given


ID = Plain(
    "letters, digits, '.', '_' and '-', at most 100",
    _id,
    {"anyOf": [{"type": "string", "pattern": rf"^\s*{ID_PATTERN}\s*$"}, {"type": "number"}]},
)
SENTENCE = Plain("a sentence", v.text, {"type": "string", "minLength": 1, "pattern": r"\S"})
LINE = Plain("a text in one line", v.name, {"type": ["string", "number"], "minLength": 1})
STEP = Plain(
    "1 to 5, or " + ", ".join(SCALE),
    _step,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 5},
            {"type": "string", "pattern": r"^\s*([Vv]ery[ _-])?([Ll]ow|[Hh]igh)\s*$|^\s*[Mm]edium\s*$"},
        ]
    },
)  # fmt: skip
STATUS = Plain(
    "one of " + ", ".join(map(str, WRITABLE)), _status, {"enum": [str(s) for s in WRITABLE]}
)
LINK = Plain(
    "an address such as https://wiki.example.com/page", _link, {"type": "string", "minLength": 1}
)
PATH = Plain(
    "a file, or a pattern such as kubernetes/pod-*.yaml",
    _path,
    {"type": "string", "minLength": 1},
)


@dataclass(frozen=True)
class OneOrMore:
    """A value, or a list of these -> a tuple."""

    item: Plain
    what: str

    @property
    def expected(self) -> str:
        return f"{self.item.expected}, or a list of {self.what}"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        either = ByType(self.expected, scalar=self.item, list=ListOf(self.item, self.what))
        read = either.read(node, path, reader)
        if read is FAILED:
            return FAILED
        return tuple(dict.fromkeys(read if isinstance(read, list) else [read]))

    def schema(self, defs: Json) -> Json:
        one = self.item.schema(defs)
        return {"anyOf": [one, {"type": "array", "items": one}]}


#: What an experiment says under ``backlog``.
IDS = OneOrMore(ID, "ids of hypotheses")


def _hypothesis(values: dict[str, Any]) -> Hypothesis:
    given = dict(values)
    given["experiments"] = given.pop("experiment", ())
    return Hypothesis(**given)


_CHANCE = "From 1 or very low to 5 or very high."
HYPOTHESIS = Table(
    "hypothesis",
    "Something that is believed of the system and can be tried.",
    (
        Key("id", ID, "By which experiments and people name it; it stays when the words change.",
            required=True, examples=("one-replica-lost",), mistaken=("name", "key", "slug")),
        Key("hypothesis", SENTENCE, "We believe that … when …", required=True,
            examples=("We believe that customers can order when one replica of checkout dies.",),
            mistaken=("statement", "belief", "we-believe", "description", "text")),
        Key("title", LINE, "The same in a few words, for lists.", nullable=True,
            mistaken=("headline", "summary")),
        Key("services", OneOrMore(LINE, "names"), "The services that it is about.", nullable=True,
            examples=(["checkout"],), mistaken=("service", "components", "targets", "systems")),
        Key("likelihood", STEP, f"How likely it is that this happens. {_CHANCE}", required=True,
            examples=(4, "high"), mistaken=("probability", "chance", "occurrence")),
        Key("impact", STEP, f"How much it would hurt if the hypothesis were wrong. {_CHANCE}", required=True,
            examples=(3, "medium"), mistaken=("severity", "consequence", "effect")),
        Key("status", STATUS, "What people know. What runs find out is worked out from the runs; "
            "'sloguard backlog update --write' writes it here.", default="open",
            mistaken=("state",)),
        Key("owner", LINE, "Who looks after it.", nullable=True, examples=("team-shop",),
            mistaken=("team", "assignee", "responsible", "owned-by")),
        Key("experiment", OneOrMore(PATH, "files"),
            "The experiments that test it: files, from this one's directory on; * stands for any text.",
            nullable=True, examples=("kubernetes/pod-one-of-several.yaml",),
            mistaken=("experiments", "file", "files", "tested-by", "test")),
        Key("links", OneOrMore(LINK, "addresses"), "Incidents, designs, tickets.", nullable=True,
            mistaken=("link", "urls", "url", "see", "references")),
        Key("notes", SENTENCE, "Whatever is worth knowing.", nullable=True,
            mistaken=("note", "comment", "comments", "remarks")),
        Key("last_run", LINE, "The run that gave it its status, as 'sloguard backlog update --write' writes it.",
            nullable=True, mistaken=("lastrun", "run")),
    ),
    finish=_hypothesis,
    literal=True,
)  # fmt: skip


class DifferentIds:
    """Each hypothesis has an id of its own."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        first: dict[str, Node] = {}
        entries = node.get("hypotheses")
        for index, entry in enumerate(entries.value if entries and entries.is_list else ()):
            id = entry.get("id")
            if id is None or not isinstance(id.value, str | int | float):
                continue
            known = first.setdefault(str(id.value), id)
            if known is not id:
                message = f"the id '{id.value}' is taken in line {known.line}"
                reader.problem(id, f"hypotheses[{index}].id", message, "an id of its own")

    def schema(self) -> Json:
        return {}


BACKLOG = Table(
    "backlog",
    "What could go wrong: hypotheses with likelihood and impact, and the experiments that test them.",
    (
        Key("title", LINE, "What it is about.", nullable=True),
        Key("hypotheses", ListOf(HYPOTHESIS, "hypotheses"), "The hypotheses, in any order.",
            required=True, nullable=True, mistaken=("hypothesis", "backlog", "items", "entries")),
    ),
    rules=(DifferentIds(),),
    literal=True,
)  # fmt: skip


def looks_like_backlog(root: Node) -> bool:
    """Whether a file is a backlog and no experiment."""
    return (
        root.get("hypotheses") is not None
        and root.get("method") is None
        and root.get("steady-state-hypothesis") is None
    )


def load_backlog(path: str | os.PathLike[str]) -> Backlog:
    """Read a backlog; raises SpecError with every problem and its place."""
    file = os.fspath(path)
    try:
        document = parse_document(read_text(file), file, strict=False)
    except DocumentError as error:
        raise SpecError(error.problems) from None
    return backlog_of(document)


def parse_backlog(text: str, file: str) -> Backlog:
    """As ``load_backlog``, of a text; ``file`` names it in messages."""
    try:
        document = parse_document(text, file, strict=False)
    except DocumentError as error:
        raise SpecError(error.problems) from None
    return backlog_of(document)


def backlog_of(document: Document) -> Backlog:
    """A document as a backlog; raises SpecError with every problem and its place."""
    reader = Reader(document.file, Scope({}))
    values = BACKLOG.read(document.root, "", reader)
    problems = [*document.problems, *reader.problems]
    if problems or values is FAILED:
        raise SpecError(dict.fromkeys(problems))
    entries = (document.root.get("hypotheses") or Node([], 1, 1)).value or ()
    hypotheses = tuple(
        replace(one, line=entry.line, hypothesis=" ".join(one.hypothesis.split()))
        for one, entry in zip(values.get("hypotheses") or (), entries, strict=True)
    )
    title = str(values.get("title") or "")
    return Backlog(hypotheses=hypotheses, title=title, file=document.file)


def backlog_beside(file: str | os.PathLike[str]) -> Path | None:
    """The backlog in a file's directory, or in one of the two above it."""
    here = Path(os.path.abspath(file)).parent
    for directory in (here, *list(here.parents)[:2]):
        for name in FILE_NAMES:
            if (directory / name).is_file():
                return directory / name
    return None
