"""Weaknesses: an SLO of a service that an experiment pushed out of its objective, since when, and whether it
is fixed.

A weakness is open while the last decided verdict is ``deviated``; it is fixed when it was met again after that.
Inconclusive verdicts decide nothing, and ``met`` counts only in runs that went to their end: where the
fault was cut short, could not be injected or was left, nothing is proven. ``since``: the first deviation after it was last met, however long ago.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sloguard.core.reporting import VerdictSource
from sloguard.core.text import iso_time
from sloguard.render.report.known import Past, no_history
from sloguard.render.report.rows import RANKS, service_of
from sloguard.render.report.tables import Frames, Json, records

Key = tuple[str, str, str]
#: So many are told one by one.
MOST_WEAKNESSES = 40
#: Outcomes of runs whose ``met`` proves something.
_WHOLE = ("met", "deviated")


def weakness_sums(frames: Frames, past: Past) -> Json:
    """Open ones (new ones first), those that were fixed, and those that nobody looked at again."""
    slos = frames.slos
    met = (slos["verdict"] == "met") & slos["outcome"].isin(_WHOLE)
    decided = slos[met | (slos["verdict"] == "deviated")]
    by_key: dict[Key, list[Json]] = {}
    # One table into rows, not one table for each weakness: there may be thousands.
    for row in records(decided):
        by_key.setdefault((row["experiment"], row["slo"], row["service"]), []).append(row)
    told = _Told(frames, past)
    found = [
        told.of(key, rows)
        for key, rows in sorted(by_key.items())
        if any(row["verdict"] == "deviated" for row in rows)
    ]
    by_state = {
        state: [w for w in found if w["state"] == state] for state in ("open", "fixed", "untried")
    }
    opened = sorted(by_state["open"], key=_gravest)
    return {
        "open": opened[:MOST_WEAKNESSES],
        "open_more": max(0, len(opened) - MOST_WEAKNESSES),
        "counts": {
            "new": sum(w["is_new"] for w in opened),
            "open": len(opened),
            "fixed": len(by_state["fixed"]),
            "untried": len(by_state["untried"]),
        },
        "fixed": sorted(by_state["fixed"], key=_named)[:MOST_WEAKNESSES],
        "untried": sorted(by_state["untried"], key=lambda w: (w["since"], _named(w)))[
            :MOST_WEAKNESSES
        ],
    }


def _named(weakness: Json) -> tuple[str, ...]:
    return weakness["service"], weakness["slo"], weakness["experiment"]


def _gravest(weakness: Json) -> tuple[Any, ...]:
    """What did not recover, then what cost most, then what happened most often."""
    return (
        not weakness["lost"],
        -(weakness["burned"] or 0.0),
        -weakness["deviated"],
        weakness["since"],
        *_named(weakness),
    )


class _Told:
    """Says everything about one weakness."""

    def __init__(self, frames: Frames, past: Past) -> None:
        self._frames, self._past = frames, past
        # Services of one SLO come one after another, and share its history.
        self._read: tuple[tuple[str, str], _Replay] | None = None

    def of(self, key: Key, rows: Sequence[Json]) -> Json:
        """``rows``: its decided ones, oldest first."""
        mine = [row for row in rows if row["period"] == self._frames.last]
        last, newest = rows[-1], [row for row in rows if row["verdict"] == "deviated"][-1]
        own = [row for row in mine if row["verdict"] == "deviated"]
        state = _state(rows, mine)
        since_run, since = self._since(key, newest, rows)
        burned = sum(row["burned"] or 0.0 for row in own)
        return {
            "experiment": key[0],
            "slo": key[1],
            "service": key[2],
            "title": last["title"],
            "teams": list(last["teams"]),
            "state": state,
            "is_new": state == "open" and self._frames.periods[-1].holds(since),
            "since": iso_time(since),
            "since_run": since_run,
            "last_at": iso_time(newest["started_at"]),
            "run": newest["run"],
            "reason": newest["reason"],
            "deviated": len({row["run"] for row in own}),
            "judged": len({row["run"] for row in mine}),
            "lost": any(row["lost"] for row in own),
            "recovered_seconds": max((row["recovered"] or 0.0 for row in own), default=0.0) or None,
            "impact_seconds": newest["impact"],
            "burned": round(burned, 8) if burned else None,
            "fixed_run": last["run"] if state == "fixed" else "",
            "fixed_at": iso_time(last["started_at"]) if state == "fixed" else None,
        }

    def _verdicts(self, key: Key, rows: Sequence[Json]) -> Iterable[tuple[str, float, str]]:
        if self._past.history is no_history:
            return [(row["run"], row["started_at"], row["verdict"]) for row in reversed(rows)]
        place = key[:2]
        if self._read is None or self._read[0] != place:
            self._read = place, _Replay(self._past.history(*place))
        return verdicts_of(self._read[1], key[2])

    def _since(self, key: Key, newest: Json, rows: Sequence[Json]) -> tuple[str, float]:
        """The first deviation after it was last met; as far back as anything is kept."""
        found = (newest["run"], float(newest["started_at"]))
        for run, at, verdict in self._verdicts(key, rows):
            if (at, run) > (found[1], found[0]):
                continue
            if verdict == "met":
                break
            if verdict == "deviated":
                found = (run, at)
        return found


class _Replay:
    """Verdicts that are read once, as far as anybody wants them, and told as often as asked."""

    def __init__(self, source: Iterable[VerdictSource]) -> None:
        self._source, self._seen = iter(source), list[VerdictSource]()

    def __iter__(self) -> Iterator[VerdictSource]:
        for at in itertools.count():
            if at == len(self._seen):
                try:
                    self._seen.append(next(self._source))
                except StopIteration:
                    return
            yield self._seen[at]


def _state(rows: Sequence[Json], mine: Sequence[Json]) -> str:
    """Open, fixed in this period (it was this period that brought it back), fixed before, or untried."""
    if rows[-1]["verdict"] == "deviated":
        return "open" if mine else "untried"
    old = rows[: len(rows) - len(mine)]
    was_bad = any(row["verdict"] == "deviated" for row in mine)
    ended_badly = bool(old) and old[-1]["verdict"] == "deviated"
    return "fixed" if mine and (was_bad or ended_badly) else "fixed before"


def verdicts_of(history: Iterable[VerdictSource], service: str) -> Iterable[tuple[str, float, str]]:
    """(run, start, worst verdict) of one service, newest first; what its series have no label for, by the SLO."""
    for run, several in itertools.groupby(history, key=lambda one: one.run):
        mine = [one for one in several if _is_of(one, service)]
        if not mine:
            continue
        worst = max((one.verdict for one in mine), key=lambda v: RANKS.get(v, 0))
        if worst != "met" or mine[0].outcome in _WHOLE:
            yield run, mine[0].started_at, worst


def _is_of(one: VerdictSource, service: str) -> bool:
    if one.labels is None:
        return False
    named = service_of(one.labels)
    # Series without such a label were given the name of the run's tag, or none.
    return named == service or not named
