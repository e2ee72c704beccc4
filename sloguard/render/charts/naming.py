"""Labels -> names that are short and still tell the series of a picture apart."""

from __future__ import annotations

from collections.abc import Sequence

from sloguard.core.series import LabelSet

#: How a label that a series does not have is shown beside series that have it.
ABSENT = "–"


def telling_labels(label_sets: Sequence[LabelSet]) -> tuple[str, ...]:
    """The labels in which these series differ; of a single series, all but its metric's name."""
    if len(label_sets) == 1:
        return tuple(name for name, _ in label_sets[0] if name != "__name__")
    seen: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for labels in label_sets:
        for name, value in labels:
            seen.setdefault(name, set()).add(value)
            counts[name] = counts.get(name, 0) + 1
    total = len(label_sets)
    return tuple(sorted(n for n, values in seen.items() if len(values) > 1 or counts[n] < total))


def short_name(labels: LabelSet, telling: Sequence[str]) -> str:
    """The values of these labels, in their order."""
    values = dict(labels)
    return ", ".join(values.get(name) or ABSENT for name in telling)
