"""``{ref: name}``: the activity of that name, wherever in the experiment it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sloguard.documents.problems import did_you_mean
from sloguard.documents.tree import Node
from sloguard.spec.errors import Reader

#: Where activities stand: the path of the list, and what its members are called in keys and journals.
SECTIONS = (
    ("method", "method"),
    ("steady-state-hypothesis.probes", "hypothesis"),
    ("rollbacks", "rollbacks"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of a list of activities. ``key``: ``method[0]``; ``path``: its path in the file."""

    node: Node
    key: str
    path: str


def places(root: Node) -> Iterator[Place]:
    """Every entry of method, probes and rollbacks, in the order of ``SECTIONS``."""
    for path, section in SECTIONS:
        node: Node | None = root
        for part in path.split("."):
            node = node.get(part) if node is not None else None
        if node is not None and node.is_list:
            for index, child in enumerate(node.value):
                yield Place(child, f"{section}[{index}]", f"{path}[{index}]")


class References:
    """Finds activities by name. As in the Chaos Toolkit the last one of a name counts, and those of the
    rollbacks only where nobody else bears it."""

    def __init__(self, root: Node) -> None:
        self.by_name: dict[str, Node] = {}
        rest: dict[str, Node] = {}
        for place in places(root):
            name = place.node.get("name")
            if name is None or not isinstance(name.value, str) or place.node.get("ref") is not None:
                continue
            found = rest if place.key.startswith("rollbacks") else self.by_name
            found[name.value] = place.node
        self.by_name = rest | self.by_name

    def follow(self, place: Place, reader: Reader) -> Node | None:
        """The activity of an entry: itself, or what its ``ref`` names; None after reporting."""
        ref = place.node.get("ref")
        if ref is None:
            return place.node
        if not isinstance(ref.value, str):
            return None  # reported where its shape was checked
        found = self.by_name.get(ref.value)
        if found is None:
            names = list(self.by_name)
            expected = "the name of an activity" + (f": {', '.join(names)}" if names else "")
            hint = did_you_mean(ref.value, names)
            message = f"no activity is named '{ref.value}'"
            reader.problem(ref, f"{place.path}.ref", message, expected, hint)
            return None
        known = ("ref", "type", "tolerance", "name", "background")
        ignored = [k for k in place.node.value if k not in known and not k.startswith("x-")]
        if ignored:
            message = f"{', '.join(ignored)} beside a ref has no effect"
            reader.warn(place.node, place.path, message)
        return found
