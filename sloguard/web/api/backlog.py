"""The hypothesis backlog, as data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Response
from pydantic import Field

from sloguard.core.backlog import next_of
from sloguard.ports.service import Scope
from sloguard.render.backlog import counted, of_standing
from sloguard.service.backlog import Look
from sloguard.web.answers import json_answer
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.parts import service
from sloguard.web.schemas import FileProblem, Shape, Time
from sloguard.web.shaping import API, problem_shape

resource = Resource(
    "backlog", API, about="Hypotheses: what could go wrong, and what runs have said about it."
)

Statuses = Literal["refuted", "running", "open", "planned", "confirmed", "accepted", "dropped"]
Step = Annotated[int, Field(ge=1, le=5)]


class BacklogQuery(Query):
    """Which hypotheses."""

    status: Statuses | None = Field(None, description="Only these.")


class TestingRun(Shape):
    """A run that tests a hypothesis."""

    run: str
    experiment: str
    title: str
    started: Time
    ended: Time | None
    state: str = Field(description="its outcome, `running` or `interrupted`")
    reason: str
    href: str


class ExperimentName(Shape):
    """An experiment of the catalogue."""

    name: str
    title: str
    href: str


class HypothesisShape(Shape):
    """A hypothesis, and how it stands."""

    id: str
    title: str
    hypothesis: str
    services: list[str]
    likelihood: Step
    impact: Step
    risk: int = Field(description="likelihood times impact", ge=1, le=25)
    level: Literal["high", "medium", "low"]
    status: Statuses = Field(description="by its runs, else as it is written")
    written_status: Statuses = Field(description="as it stands in the file")
    owner: str
    links: list[str]
    notes: str
    experiments: list[ExperimentName] = Field(description="those that there are and test it")
    declared_experiments: list[str] = Field(description="files or patterns, as written")
    decided_by: TestingRun | None = Field(description="the newest run that was met or deviated")
    unanswered: int = Field(description="runs since then that said nothing")
    runs: list[TestingRun] = Field(description="the newest ten, newest first")


class UnknownHypothesis(Shape):
    """An id that experiments name and the backlog has not."""

    id: str
    experiments: list[str]


class Following(Shape):
    """What to do first, by ids, each the highest risk of its kind."""

    mend: str | None
    run: str | None
    write: str | None


class BacklogShape(Shape):
    """The backlog. With `problems` of its file there is nothing else."""

    title: str
    problems: list[FileProblem]
    counts: dict[Statuses, int]
    hypotheses: list[HypothesisShape]
    next: Following
    unknown: list[UnknownHypothesis]


@resource.get(
    "/backlog",
    scope=Scope.READ,
    query=BacklogQuery,
    answers=[Answer(description="All hypotheses, the highest risk first.", model=BacklogShape)],
)
def backlog(query: BacklogQuery) -> Response:
    """The hypothesis backlog, by risk.

    Empty where there is none. The status is worked out from the runs that are kept: the newest one that was
    met confirms, the newest one that deviated refutes.
    """
    desk = service().parts.backlog
    look = Look(file="") if desk is None else desk.look()
    found = [s for s in look.standings if query.status is None or s.status == query.status]
    following = next_of(look.standings)
    return json_answer(
        {
            "title": look.title,
            "problems": [problem_shape(p) for p in look.problems],
            "counts": counted(look.standings),
            "hypotheses": [_linked(of_standing(one)) for one in found],
            "next": {
                name: None if one is None else one.hypothesis.id
                for name, one in (
                    ("mend", following.mend),
                    ("run", following.run),
                    ("write", following.write),
                )
            },
            "unknown": [{"id": id, "experiments": names} for id, names in look.unknown],
        }
    )


def _linked(row: dict[str, Any]) -> dict[str, Any]:
    def run(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "href": f"{API}/runs/{one['run']}"}

    return {
        **row,
        "experiments": [
            {**one, "href": f"{API}/experiments/{one['name']}"} for one in row["experiments"]
        ],
        "decided_by": None if row["decided_by"] is None else run(row["decided_by"]),
        "runs": [run(one) for one in row["runs"]],
    }
