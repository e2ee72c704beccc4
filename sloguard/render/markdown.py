"""A verdict as Markdown, for a pull request, a ticket or a post-mortem."""

from __future__ import annotations

import re

from sloguard.core.model import PhaseName
from sloguard.render.alerting import alert_lines, coverage_lines, expectations_of, proposals
from sloguard.render.summary import (
    MARKS,
    Cell,
    Document,
    Row,
    budget_lines,
    headline,
    key_times,
    probe_rows,
    slo_rows,
    unhappy,
    victim_lines,
)


def markdown(document: Document) -> str:
    """The whole verdict; ends with a newline."""
    rows = slo_rows(document) + probe_rows(document)
    parts = [f"## {_escaped(document['experiment'])}", f"**{headline(document)}**"]
    if document.get("reason"):
        parts.append(_escaped(document["reason"]))
    if rows:
        parts.append(_table(rows))
    reasons = [f"- {MARKS[r.verdict]} {_escaped(r.reason)}" for r in unhappy(rows)]
    if reasons:
        parts.append("\n".join(reasons))
    suffered = [f"- {_escaped(text)}" for text in victim_lines(document)]
    if suffered:
        parts.append("**Who suffered:**\n\n" + "\n".join(suffered))
    parts.extend(_alerts(document))
    budgets = [f"- {_escaped(text)}" for text in budget_lines(document)]
    if budgets:
        parts.append("\n".join(budgets))
    parts.extend(_facts(document))
    return "\n\n".join(parts) + "\n"


def _alerts(document: Document) -> list[str]:
    """What was expected, what fired, what nobody saw, and the rules that would have."""
    lines = []
    for one in expectations_of(document):
        late = f" ({one.late})" if one.late else ""
        lines.append(f"- {MARKS[one.verdict]} {_escaped(one.reason)}{_escaped(late)}")
    lines += [f"- {_escaped(text)}" for text in alert_lines(document)]
    lines += [f"- {_escaped(text)}" for text in coverage_lines(document)]
    made = ["**Alerts:**\n\n" + "\n".join(lines)] if lines else []
    for slo, rule in proposals(document):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", rule)), default=0))
        made.append(f"A rule for {_escaped(slo)}:\n\n{fence}yaml\n{rule}{fence}")
    return made


def _table(rows: list[Row]) -> str:
    head = ["| SLO | objective | " + " | ".join(PhaseName) + " | verdict |"]
    head.append("|---|---|---|---|---|---|")
    body = [
        f"| {_escaped(r.name)} | `{r.objective}` | "
        + " | ".join(_cell(c) for c in r.cells)
        + f" | {MARKS[r.verdict]} {r.verdict} |"
        for r in rows
    ]
    return "\n".join(head + body)


def _cell(cell: Cell) -> str:
    return f"{MARKS[cell.verdict]} {_escaped(cell.text)}".strip()


def _facts(document: Document) -> list[str]:
    made = []
    times = [f"{name}: {value}" for name, value in key_times(document)]
    if times:
        made.append("; ".join(times))
    left = [f for f in document.get("faults", ()) if f["status"] == "left"]
    if left:
        made.append(
            "**Left behind:**\n\n"
            + "\n".join(
                f"- {_escaped(f['fault'])} on {_escaped(f['target'])}: undo by hand with `{f['by_hand']}`"
                for f in left
            )
        )
    timeline = document.get("timeline")
    if timeline:
        made.append(
            f"start {timeline['start']}, fault {timeline['fault']}, "
            f"restored {timeline['restored']}, end {timeline['end']}"
        )
    if document.get("run"):
        seed = "" if document.get("seed") is None else f", seed {document['seed']}"
        made.append(f"run `{document['run']}`{seed}")
    return made


def _escaped(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
