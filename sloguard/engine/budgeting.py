"""What is left of an SLO's error budget: Prometheus asked over the whole period."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from sloguard.core.budget_entries import budget_entries
from sloguard.core.budget_limits import check_gate
from sloguard.core.model import Slo, Verdict
from sloguard.core.series import PARTIAL, Matrix, SloEvidence, Vector
from sloguard.core.spending import History, ratio_spent, sampled_spent
from sloguard.core.windows import Grid
from sloguard.engine.findings import Findings
from sloguard.engine.guard import nameless
from sloguard.engine.loop import Work
from sloguard.engine.session import NotStarted, Session
from sloguard.ports import Metrics, MetricsError, MetricsRefused, MetricsUnreachable
from sloguard.promql.errors import PromqlError
from sloguard.promql.inspection import same_metrics
from sloguard.promql.over_period import over_period

#: Points by which a period is looked at where counters do not tell: one in ten minutes of 30 days.
_POINTS = 4320
#: Points by which it is told since when Prometheus knows anything: one an hour of 30 days.
_COARSE_POINTS = 720
#: How long the end of a run waits for a history that nothing depends on, seconds.
_PATIENCE = 45.0


def histories(slos: Iterable[Slo], metrics: Metrics, at: float) -> tuple[History, ...]:
    """What had been spent up to ``at`` of the budget of every SLO that has one. Blocking; never raises
    MetricsError: what could not be asked is its history's ``problem``."""
    made: list[History] = []
    away = ""
    for slo in slos:
        if not slo.has_budget:
            continue
        if away:
            made.append(History(slo=slo.name, at=at, problem=away))
            continue
        try:
            made.append(_history(slo, metrics, at))
        except MetricsError as error:
            made.append(History(slo=slo.name, at=at, problem=str(error)))
            if isinstance(error, MetricsUnreachable | MetricsRefused):
                away = str(error)
    return tuple(made)


def _history(slo: Slo, metrics: Metrics, at: float) -> History:
    if slo.budget_left is not None:
        return _recorded(slo, slo.budget_left, metrics, at)
    counted = _counted(slo, metrics, at) if slo.is_pair else None
    return counted if counted is not None else _sampled(slo, metrics, at)


def _recorded(slo: Slo, query: str, metrics: Metrics, at: float) -> History:
    answer = metrics.instant(query, at)
    spent = {k: 1.0 - v for k, v in nameless(answer).items() if not math.isnan(v)}
    return History(
        slo=slo.name,
        at=at,
        spent=spent,
        known=1.0,
        basis="recorded",
        queries={"budget_left": query},
        problem="" if spent else f"no data: {query} answers with no series",
    )


def _counted(slo: Slo, metrics: Metrics, at: float) -> History | None:
    """By the increase of a pair's counters; None where these do not tell, or are too many to load."""
    queries = over_period(slo.queries, slo.period or 0.0)
    if queries is None:
        return None
    try:
        answers = {role: metrics.instant(query, at) for role, query in queries.items()}
    except (MetricsUnreachable, MetricsRefused):
        raise
    except MetricsError:
        return None
    if any(_partial(answer.notes) for answer in answers.values()):
        return History(slo=slo.name, at=at, queries=queries, problem=_partial_problem(answers))
    known = _known(slo, metrics, at)
    totals = nameless(answers["total"])
    role = "bad" if "bad" in answers else "good"
    parts = nameless(answers[role])
    spent = {}
    for labels, total in totals.items():
        part = parts.get(labels, 0.0)
        if math.isnan(total) or math.isnan(part):
            continue
        bad = part if role == "bad" else max(total - part, 0.0)
        spent[labels] = ratio_spent(bad, total, slo.target or 0.0, known)
    return History(slo=slo.name, at=at, spent=spent, known=known, basis="counters", queries=queries)


def _sampled(slo: Slo, metrics: Metrics, at: float) -> History:
    """By points over the period, as the judge would count them."""
    grid = _grid(slo, at, _POINTS)
    answers = {role: metrics.range(query, grid) for role, query in slo.queries.items()}
    if any(_partial(answer.notes) for answer in answers.values()):
        problem = _partial_problem(answers)
        return History(slo=slo.name, at=at, queries=slo.queries, problem=problem)
    main = answers["total" if slo.is_pair else "query"]
    known = max(_known(slo, metrics, at), _present(main))
    evidence = SloEvidence(slo, grid, answers, lookback=None, same_metric=_same_metric(slo))
    try:
        spent, problem = sampled_spent(evidence, known), ""
    except ValueError as error:
        spent, problem = {}, str(error)
    return History(
        slo=slo.name,
        at=at,
        spent=spent,
        known=known,
        basis="sampled",
        queries=slo.queries,
        problem=problem,
    )


def _grid(slo: Slo, at: float, points: int) -> Grid:
    """Points that stand for all of the period: each for the time up to it."""
    period = slo.period or 0.0
    step = max(math.ceil(period / points * 1000) / 1000, 1.0)
    count = max(math.floor(period / step + 1e-9), 1)
    return Grid(round(at - (count - 1) * step, 3), step, count)


def _known(slo: Slo, metrics: Metrics, at: float) -> float:
    """The share of the period in which Prometheus was there, by ``up``; where that never existed, in
    which the SLO's own series were."""
    grid = _grid(slo, at, _COARSE_POINTS)
    try:
        there = _present(metrics.range("count(up)", grid))
    except (MetricsUnreachable, MetricsRefused):
        raise
    except MetricsError:
        there = 0.0
    if there:
        return there
    return _present(metrics.range(slo.queries["total" if slo.is_pair else "query"], grid))


def _present(answer: Matrix) -> float:
    """The share of points at which there is any series."""
    return float(answer.present.any(axis=0).mean()) if len(answer.labels) else 0.0


def _partial(notes: Sequence[str]) -> str:
    return next((note for note in notes if note.startswith(PARTIAL)), "")


def _partial_problem(answers: Mapping[str, Matrix | Vector]) -> str:
    return next(filter(None, (_partial(answer.notes) for answer in answers.values())), "")


def _same_metric(slo: Slo) -> bool:
    part = slo.bad if slo.bad is not None else slo.good
    if slo.total is None or part is None:
        return True
    try:
        return same_metrics(part, slo.total)
    except PromqlError:
        return False


def gate_budget(session: Session) -> Work[None]:
    """Raises NotStarted where less is left than the experiment asks for, or where nobody knows."""
    limits, metrics = session.experiment.budget, session.ports.metrics
    if limits is None or limits.keep_at_least is None:
        return
    slos = limits.of(session.experiment.slos)
    if metrics is None or not slos:
        raise NotStarted("the error budget cannot be asked for without a Prometheus")
    now = session.now()
    session.histories = yield from session.attempt(
        lambda: histories(slos, metrics, now), "error budget"
    )
    found = Findings(session)
    known = {history.slo: history for history in session.histories}
    judged = {
        result.name: [s.labels for s in result.series]
        for result in session.gate
        if result.omitted is None
    }
    for slo in slos:
        verdict, reason = check_gate(limits, slo, known.get(slo.name), judged.get(slo.name))
        say = found.good if verdict is Verdict.MET else found.bad
        yield say("error budget", reason)
    if found.against:
        raise NotStarted("; ".join(found.against))


def asking_history(session: Session) -> Work[None]:
    """What was left before the fault, for the verdict to tell. Nothing depends on it, so it is not
    waited for long, nor where somebody wants the run to end."""
    metrics, timeline = session.ports.metrics, session.timeline()
    told = {history.slo for history in session.histories}
    slos = [s for s in session.experiment.slos if s.has_budget and s.name not in told]
    if metrics is None or timeline is None or not slos or not session.options.budget_history:
        return
    at, asked = timeline.fault, len(session.control.reasons)
    if session.slos and all(result.evidence.error for result in session.slos):
        missing = "Prometheus did not answer"
    else:
        task = session.loop.submit(lambda: histories(slos, metrics, at), "error budget")
        cut = False

        def over() -> bool:
            nonlocal cut
            cut = len(session.control.reasons) > asked
            return cut or task.done()

        yield from session.until(over, _PATIENCE, stoppable=False)
        if task.done():
            session.histories = (*session.histories, *task.result())
            return
        missing = "the run was asked to end" if cut else f"no answer within {_PATIENCE:.0f}s"
    left = (History(slo=slo.name, at=at, problem=missing) for slo in slos)
    session.histories = (*session.histories, *left)


def entries(session: Session, *, over: bool) -> tuple[dict[str, object], ...]:
    """What the document says of the budgets; ``over``: the run had a fault and has ended."""
    results = session.slos if over else session.gate
    timeline = session.timeline() if over else None
    limits = session.experiment.budget
    asked = () if over or limits is None else limits.of(session.experiment.slos)
    return budget_entries(results, session.histories, limits, timeline, asked)
