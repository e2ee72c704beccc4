"""``approval``: who has to agree before anything is injected."""

from __future__ import annotations

from typing import Any

from sloguard.core.model import Approval
from sloguard.spec import scalars as s
from sloguard.spec.shapes import Key, ListOf
from sloguard.spec.tables import Table


def _approval(values: dict[str, Any]) -> Approval:
    return Approval(**{**values, "by": tuple(values.get("by") or ())})


APPROVAL = Table(
    "approval",
    "Whether people have to agree after the gate and before the first fault, and who.",
    (
        Key(
            "required",
            s.FLAG,
            "Whether the run waits for an approval; without one it is not started.",
            default=True,
            mistaken=("enabled", "needed", "require"),
        ),
        Key(
            "by",
            ListOf(s.NAME, "names", length=None),
            "Who may approve, as the audit log names them (user:ada, token:ci, link:slack:ops); without it "
            "whoever may start runs.",
            examples=(["user:ada", "user:grace"],),
            mistaken=("approvers", "users", "from", "who"),
        ),
        Key(
            "within",
            s.DURATION,
            "How long the run waits; then it is not started. Without it as the settings say.",
            examples=("30m",),
            mistaken=("timeout", "wait", "for", "deadline"),
        ),
        Key(
            "minimum",
            s.COUNT,
            "How many different people have to agree. Without it as the settings say.",
            examples=(2,),
            mistaken=("min", "count", "approvals", "quorum"),
        ),
    ),
    finish=_approval,
)
