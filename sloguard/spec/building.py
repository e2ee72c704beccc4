"""A checked tree into ``core.model``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sloguard.core.alert_rules import Alerting
from sloguard.core.backlog import tags_of
from sloguard.core.model import Activity, Experiment, Json, Phases
from sloguard.documents.tree import Node
from sloguard.spec.errors import Reader
from sloguard.spec.references import Place, References, places
from sloguard.spec.variables import Variables


class Builder:
    """Makes the experiment of one file.

    Making a builder follows the references, and reports those that lead nowhere to ``reader``; the tree may
    still be wrong then. ``experiment`` is for a tree without problems.
    """

    def __init__(self, root: Node, reader: Reader) -> None:
        self.root = root
        self.reader = reader
        self.references = References(root)
        self.controls = self._named_controls()
        self.activities = {place.key: self._activity(place) for place in places(root)}
        self.top_controls = self._controls_of(root)
        hypothesis = root.get("steady-state-hypothesis")
        self.hypothesis_controls = self._controls_of(hypothesis, "steady-state-hypothesis.")

    def experiment(
        self, values: Mapping[str, Any], found: Variables, *, title: str, source: str
    ) -> Experiment:
        """The whole of it, from what the tables read and the variables gave."""
        scope = self.reader.scope
        hypothesis = values.get("steady-state-hypothesis") or {}
        declared = self._declared()
        return Experiment(
            title=str(scope.fill(values.get("title") or title)),
            description=str(scope.fill(values.get("description") or "")),
            # So that runs are found by the hypotheses that they test.
            tags=tuple(
                dict.fromkeys((*(values.get("tags") or ()), *tags_of(values.get("backlog") or ())))
            ),
            phases=values.get("phases") or Phases(),
            hypothesis_title=str(scope.fill(hypothesis.get("title") or "")),
            slos=tuple(values.get("slos") or hypothesis.get("slos") or ()),
            probes=self._section("hypothesis"),
            guards=tuple(values.get("abort-when") or ()),
            alerts=values.get("alerts") or Alerting(),
            budget=values.get("budget"),
            approval=values.get("approval"),
            method=self._section("method"),
            rollbacks=self._section("rollbacks"),
            controls=self.top_controls,
            hypothesis_controls=self.hypothesis_controls,
            configuration=found.configuration,
            secrets=found.secrets,
            contributions=declared.get("contributions") or {},
            extensions=tuple(declared.get("extensions") or ()),
            runtime=declared.get("runtime") or {},
            source=source,
            declared=declared,
        )

    def _section(self, section: str) -> tuple[Activity, ...]:
        found = (a for key, a in self.activities.items() if key.startswith(f"{section}["))
        return tuple(activity for activity in found if activity is not None)

    def _activity(self, place: Place) -> Activity | None:
        node = self.references.follow(place, self.reader)
        if node is None or not node.is_mapping:
            return None
        plain = node.plain()
        tolerance = place.node.get("tolerance")
        if tolerance is not None:
            plain["tolerance"] = tolerance.plain()
        hypothesis = place.key.startswith("hypothesis")
        if hypothesis and "tolerance" not in plain:
            if node is not place.node:
                message = "neither the ref nor what it names has a tolerance"
                self.reader.problem(place.node, place.path, message, "'tolerance' beside the ref")
            return None
        if hypothesis and plain.get("type") == "action":
            message = "an action in the hypothesis is carried out before and after the method"
            self.reader.warn(node, place.path, message)
        return self._made(place, node, plain)

    def _made(self, place: Place, node: Node, plain: dict[str, Any]) -> Activity | None:
        provider, pauses = plain.get("provider"), plain.get("pauses") or {}
        if plain.get("type") not in ("action", "probe"):
            return None
        if not isinstance(provider, dict) or not isinstance(pauses, dict):
            return None
        return Activity(
            key=place.key,
            kind=plain["type"],
            name=str(plain.get("name")),
            provider={k: v for k, v in provider.items() if v is not None},
            # As in the Chaos Toolkit it is said where an activity is carried out.
            background=_flag(place.node.get("background")),
            pause_before=pauses.get("before") or 0.0,
            pause_after=pauses.get("after") or 0.0,
            has_tolerance="tolerance" in plain,
            tolerance=plain.get("tolerance"),
            controls=self._controls_of(node, f"{place.path}."),
            declared=plain,
        )

    def _named_controls(self) -> dict[str, dict[str, Json]]:
        found: dict[str, dict[str, Json]] = {}
        hypothesis = self.root.get("steady-state-hypothesis")
        holders = [self.root, hypothesis, *(place.node for place in places(self.root))]
        for holder in holders:
            for control in _members(holder):
                name = control.get("name")
                named = name is not None and isinstance(name.value, str | int | float)
                if name is not None and named and control.get("provider") is not None:
                    found.setdefault(str(name.value), control.plain())
        return found

    def _controls_of(self, holder: Node | None, path: str = "") -> tuple[Mapping[str, Json], ...]:
        found = []
        for control in _members(holder):
            ref = control.get("ref")
            if ref is None or control.get("provider") is not None:
                found.append(control.plain())
            elif str(ref.value) in self.controls:
                found.append(self.controls[str(ref.value)])
            else:
                expected = ", ".join(self.controls) or "a control with a provider"
                self.reader.problem(
                    ref, f"{path}controls", f"no control is named '{ref.value}'", expected
                )
        return tuple(found)

    def _declared(self) -> dict[str, Any]:
        """The document as written, every ``ref`` followed."""
        declared = self.root.plain()
        for place in places(self.root):
            activity = self.activities.get(place.key)
            if place.node.get("ref") is None or activity is None:
                continue
            section, _, index = place.path.partition("[")
            holder = declared
            for part in section.split("."):
                holder = holder[part]
            holder[int(index[:-1])] = activity.declared
        return declared  # type: ignore[no-any-return]  # the root is a mapping by now


def _flag(node: Node | None) -> bool:
    return node is not None and node.value is True


def _members(holder: Node | None) -> list[Node]:
    controls = holder.get("controls") if holder is not None else None
    if controls is None or not controls.is_list:
        return []
    return [control for control in controls.value if control.is_mapping]
