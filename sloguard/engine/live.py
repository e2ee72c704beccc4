"""The document that controls see, and may change: what they change counts from then on.

As in the Chaos Toolkit a control gets the experiment itself. What it changes in an activity (its provider,
pauses, tolerance) is carried out as changed, and said. Which activities there are is what the file
declares: one more, or one less, is told and has no effect, for nobody has looked at it before the run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sloguard.core.model import Activity, Experiment
from sloguard.providers.plain import plain


class Live:
    """One copy of an experiment's document for all hooks of a run."""

    def __init__(self, experiment: Experiment) -> None:
        self.document: dict[str, Any] = copy.deepcopy(dict(experiment.declared))
        self._told: dict[str, object] = {}
        hypothesis = self.document.get("steady-state-hypothesis")
        probes = hypothesis.get("probes") if isinstance(hypothesis, dict) else None
        self._sections = {
            "method": (self.document.get("method"), experiment.method),
            "steady-state-hypothesis.probes": (probes, experiment.probes),
            "rollbacks": (self.document.get("rollbacks"), experiment.rollbacks),
        }
        self._entries: dict[str, dict[str, Any]] = {}
        self._bind()

    def entry(self, activity: Activity) -> dict[str, Any]:
        """What a control gets as the context of an activity."""
        found = self._entries.get(activity.key)
        return found if found is not None else copy.deepcopy(dict(activity.declared))

    def current(self, activity: Activity) -> Activity:
        """The activity as the controls have left it."""
        entry = self._entries.get(activity.key)
        if entry is None or entry == activity.declared:
            return activity
        provider, pauses = entry.get("provider"), entry.get("pauses")
        waits = pauses if isinstance(pauses, Mapping) and self._dry(activity) != "pause" else {}
        return replace(
            activity,
            provider=dict(provider) if isinstance(provider, Mapping) else {},
            pause_before=waits.get("before") or 0.0,
            pause_after=waits.get("after") or 0.0,
            has_tolerance="tolerance" in entry,
            tolerance=entry.get("tolerance"),
            declared=plain(entry),
        )

    def taken_out(self, activity: Activity) -> bool:
        """Whether a control has marked it (as declared) as not to be carried out (``dry``)."""
        dry = self._dry(activity)
        return dry is True or dry in ("activities", f"{activity.kind}s")

    def _dry(self, activity: Activity) -> Any:
        dry = self.entry(activity).get("dry")
        # In a file the mark has no effect, as in the Chaos Toolkit's command line.
        return None if dry == activity.declared.get("dry") else getattr(dry, "value", dry)

    def news(self) -> Iterator[str]:
        """What controls have changed and nobody has been told yet."""
        self._bind()
        for section, (found, declared) in self._sections.items():
            size = len(found) if isinstance(found, list) else None
            if size is not None and size != len(declared) and self._fresh(section, "told"):
                yield f"a control changed the list of '{section}': what the file declares is carried out"
        for _, declared in self._sections.values():
            for activity in declared:
                entry = self._entries.get(activity.key)
                if entry is None or not self._fresh(activity.key, plain(entry)):
                    continue
                if keys := _keys(activity.declared, entry):
                    yield f"a control changed '{activity.name}' ({keys})"

    def _fresh(self, key: str, value: object) -> bool:
        known = self._told.get(key)
        self._told[key] = value
        return value != known

    def _bind(self) -> None:
        """A control may also put another entry in the place of one."""
        for found, declared in self._sections.values():
            if not isinstance(found, list) or len(found) != len(declared):
                continue
            for activity, entry in zip(declared, found, strict=True):
                if isinstance(entry, dict):
                    self._entries[activity.key] = entry
                    self._told.setdefault(activity.key, plain(activity.declared))


def _keys(declared: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    names = dict.fromkeys([*declared, *entry])
    return ", ".join(str(name) for name in names if declared.get(name) != entry.get(name))
