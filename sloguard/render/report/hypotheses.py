"""The hypothesis backlog in reports: what is open by risk, what runs closed, what is still to be mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sloguard.core.backlog import UNKNOWN, Standing, Status, is_tested_by
from sloguard.core.text import iso_time
from sloguard.render.backlog import SIGNS, counted, of_matrix, said
from sloguard.render.report.known import KnownBacklog
from sloguard.render.report.period import Period

Json = dict[str, Any]
#: More lines than these nobody reads; the pages have them all.
MOST = 40
_IN_A_CELL = 6


def hypothesis_sums(known: KnownBacklog | None, period: Period) -> Json | None:
    """None where there is no backlog."""
    if known is None:
        return None
    found = known.standings
    refuted = [s for s in found if s.status is Status.REFUTED]
    unknown = [s for s in found if s.status in UNKNOWN]
    closed = _closed(known, period)
    return {
        "title": known.title,
        "problems": list(known.problems),
        "total": len(found),
        "counts": counted(found),
        "matrix": _matrix(found),
        "refuted": [_row(s) for s in refuted[:MOST]],
        "refuted_more": max(0, len(refuted) - MOST),
        "open": [_row(s) for s in unknown[:MOST]],
        "open_more": max(0, len(unknown) - MOST),
        "closed": closed[:MOST],
        "closed_more": max(0, len(closed) - MOST),
        "unwritten": [_row(s) for s in unknown if not s.experiments][:MOST],
    }


def _closed(known: KnownBacklog, period: Period) -> list[Json]:
    """Answers that runs of the period gave, and that were not known before."""
    before = {s.hypothesis.id: s.decided for s in known.before}
    made = []
    for one in known.standings:
        run = one.decided
        if run is None or not period.holds(run.started_at):
            continue
        old = before.get(one.hypothesis.id)
        if old is None or old.answer is not run.answer:
            made.append(
                {
                    **_row(one),
                    "answer": str(run.answer),
                    "before": "" if old is None else str(old.answer),
                }
            )
    return made


def _row(one: Standing) -> Json:
    own, run = one.hypothesis, one.decided
    return {
        "id": own.id,
        "title": own.name,
        "risk": own.risk,
        "level": own.level,
        "likelihood": own.likelihood,
        "impact": own.impact,
        "status": str(one.status),
        "owner": own.owner,
        "services": list(own.services),
        "experiments": list(dict.fromkeys(o.name for o in one.experiments)),
        "attempts": len(one.unanswered),
        "said": said(one),
        "run": "" if run is None else run.run,
        "at": None if run is None else iso_time(run.started_at),
        "reason": "" if run is None else run.reason,
    }


def _matrix(found: Sequence[Standing]) -> Json:
    """As ``of_matrix``, with signs, and so many names in a cell as it has room for."""
    made = of_matrix(found)
    for row in made["rows"]:
        for cell in row["cells"]:
            every = cell["hypotheses"]
            # What is not answered well is what somebody looks for.
            every.sort(key=lambda h: h["status"] in (Status.CONFIRMED, Status.ACCEPTED))
            cell["more"] = max(0, len(every) - _IN_A_CELL)
            cell["hypotheses"] = [
                {**h, "sign": SIGNS[Status(h["status"])]} for h in every[:_IN_A_CELL]
            ]
    return made


def hypotheses_of(found: Sequence[Standing], ids: Sequence[str], file: str) -> list[Json]:
    """What a run tests: the ids that it names and those that name its file, with what is known of these."""
    known = {s.hypothesis.id: s for s in found}
    ids = (*ids, *(s.hypothesis.id for s in found if is_tested_by(s.hypothesis, ids, file)))
    return [
        {
            "id": id,
            "hypothesis": known[id].hypothesis.hypothesis if id in known else "",
            "risk": known[id].hypothesis.risk if id in known else None,
            "status": str(known[id].status) if id in known else "",
        }
        for id in dict.fromkeys(ids)
    ]
