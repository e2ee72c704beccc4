"""The queue of the service: one row a job, taken by exactly one claim at a time."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, text, update

from sloguard.adapters.store.base import StorePart, parsed, process_of, upsert
from sloguard.adapters.store.liveness import is_alive, is_here
from sloguard.adapters.store.tables import jobs, leases, runs
from sloguard.core.jsonable import dump, jsonable
from sloguard.ports.service import Job, JobExists, JobRequest, JobState, KeyReused, QueueFull

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow

#: "sgclaims", for PostgreSQL's advisory lock: what is under way is looked at and changed by one at a time.
_CLAIMS_KEY = 0x7367636C61696D73
# As plain texts: drivers differ in what they make of an enum.
_QUEUED, _STARTING, _RUNNING = (
    s.value for s in (JobState.QUEUED, JobState.STARTING, JobState.RUNNING)
)
_UNDER_WAY = (_STARTING, _RUNNING)
_OVER = tuple(state.value for state in JobState if state.is_over)
_ONE = select(jobs).where(jobs.c.id == bindparam("job"))
_COMPARED = ("kind", "experiment", "variables", "dry_run", "tags", "seed", "payload")


class JobsPart(StorePart):
    """ports.service.Jobs and Leases."""

    def enqueue(self, request: JobRequest, *, most: int = 0) -> tuple[Job, bool]:
        """Put a job into the queue. False: the requester had sent this idempotency key before.

        Raises KeyReused, JobExists and QueueFull.
        """
        wanted = _wanted(request)
        with self._database.writing() as connection:
            # PostgreSQL would let two of them count at once, and both find room.
            self._one_at_a_time(connection)
            known = self._by_key(connection, request)
            if known is not None:
                if known.fingerprint != wanted:
                    raise KeyReused(
                        f"the idempotency key '{request.idempotency_key}' was used before for another "
                        f"request (job {known.id}): use a new key for a new request"
                    )
                return self._job(known), False
            self._refuse(connection, request, most)
            self._insert_job(connection, request)
            made = connection.execute(select(jobs).where(jobs.c.id == request.id)).one()
            return self._job(made), True

    def claim(self, executor: str, *, limit: int) -> Job | None:
        """Take the oldest job that may start, or None; one caller only is given it."""
        # Most looks find nothing, and should hold up no writer.
        if not self._is_something_due():
            return None
        with self._database.writing() as connection:
            self._one_at_a_time(connection)
            under_way = jobs.c.state.in_(_UNDER_WAY)
            mine = select(func.count()).select_from(jobs)
            mine = mine.where(under_way, jobs.c.executor == executor)
            if connection.execute(mine).scalar_one() >= limit:
                return None
            busy = select(jobs.c.exclusive).where(under_way, jobs.c.exclusive != "")
            free = or_(jobs.c.exclusive == "", jobs.c.exclusive.not_in(busy))
            due = (jobs.c.state == _QUEUED) & (jobs.c.not_before <= self._now())
            query = select(jobs.c.number).where(due, free).order_by(jobs.c.number).limit(1)
            number = connection.execute(query.with_for_update(skip_locked=True)).scalar()
            if number is None:
                return None
            taken = {
                "state": _STARTING,
                "executor": executor,
                "claim": secrets.token_hex(16),
                "attempts": jobs.c.attempts + 1,
                **self._me(),
            }
            connection.execute(update(jobs).where(jobs.c.number == number).values(**taken))
            return self._job(connection.execute(select(jobs).where(jobs.c.number == number)).one())

    def requeue(
        self,
        id: str,
        claim: str,
        detail: str,
        *,
        not_before: float | None = None,
        begun: bool = True,
    ) -> bool:
        """Put back what was taken and has touched nothing. False: this claim does not hold it any more.

        ``not_before``: it waits for something until then, at the soonest, and this was no failed attempt.
        ``begun`` False: only if its worker has not begun meanwhile.
        """
        states = _UNDER_WAY if begun else (_STARTING,)
        held = (jobs.c.id == id) & (jobs.c.claim == claim) & jobs.c.state.in_(states)
        values: dict[str, Any] = {"state": _QUEUED, "claim": "", "executor": "", "started_at": None}
        if not_before is not None:
            values |= {"not_before": not_before, "attempts": jobs.c.attempts - 1}
        return self._change(held, **values, detail=detail)

    def job_waits(self, id: str, claim: str, detail: str) -> bool:
        """What a worker that has not begun waits for. False: this claim does not hold it any more."""
        held = (jobs.c.id == id) & (jobs.c.claim == claim) & (jobs.c.state == _STARTING)
        return self._change(held, detail=detail)

    def job_started(self, id: str, claim: str) -> bool:
        """The calling process is the worker of this claim, and begins."""
        held = (jobs.c.id == id) & (jobs.c.claim == claim) & (jobs.c.state == _STARTING)
        values = {"state": _RUNNING, "started_at": self._now(), "detail": ""}
        return self._change(held, **values, **self._me())

    def beat_job(self, id: str, claim: str) -> str:
        """Say that the worker is alive; the reason to abort, or an empty text."""
        held = (jobs.c.id == id) & (jobs.c.claim == claim)
        with self._database.writing(durable=False) as connection:
            connection.execute(update(jobs).where(held).values(heartbeat=self._now()))
        return self.abort_asked(id)

    def job_ended(
        self,
        id: str,
        state: JobState,
        *,
        exit_code: int | None = None,
        detail: str = "",
        result: Mapping[str, Any] | None = None,
        claim: str = "",
    ) -> bool:
        """How it ended. False: it was over before, or ``claim`` is given and does not hold it."""
        if not state.is_over:
            raise ValueError(f"{state} is not the end of a job")
        held = (jobs.c.id == id) & jobs.c.state.not_in(_OVER)
        if claim:
            held &= jobs.c.claim == claim
        values = {"state": state.value, "ended_at": self._now(), "exit_code": exit_code}
        return self._change(held, **values, detail=detail, result=dump(result or {}))

    def ask_abort(self, id: str, reason: str, by: str) -> bool:
        """Cancel a waiting job at once, tell the worker of another one. False: none such, or over."""
        now = self._now()
        with self._database.writing() as connection:
            known = select(jobs.c.state, jobs.c.abort_reason).where(jobs.c.id == id)
            row = connection.execute(known.with_for_update()).first()
            if row is None or JobState(row.state).is_over:
                return False
            values: dict[str, Any] = {}
            if not row.abort_reason:
                values = {"abort_reason": reason or "asked to stop", "abort_by": by}
            if row.state == _QUEUED:
                ended = {"state": JobState.CANCELLED.value, "ended_at": now}
                values = {**values, **ended, "detail": reason}
            if values:
                connection.execute(update(jobs).where(jobs.c.id == id).values(**values))
            return True

    def abort_asked(self, id: str) -> str:
        """The reason to abort; empty while nobody has asked."""
        with self._database.reading() as connection:
            query = select(jobs.c.abort_reason).where(jobs.c.id == id)
            return str(connection.execute(query).scalar() or "")

    def job(self, id: str) -> Job | None:
        """The job of this id (whole), or None."""
        rows = self._database.moment((_ONE, {"job": id}))[0]
        return self._job(rows[0]) if rows else None

    def jobs(
        self, states: Sequence[JobState] = (), *, limit: int = 100, before: str | None = None
    ) -> Sequence[Job]:
        """Jobs in these states (none: all), newest first; ``before``: the id of the page before's last."""
        query = select(jobs).order_by(jobs.c.number.desc()).limit(limit)
        if states:
            query = query.where(jobs.c.state.in_([state.value for state in states]))
        if before is not None:
            mark = select(jobs.c.number).where(jobs.c.id == before).scalar_subquery()
            query = query.where(jobs.c.number < mark)
        with self._database.reading() as connection:
            return tuple(self._job(row) for row in connection.execute(query))

    def job_counts(self) -> Mapping[JobState, int]:
        """How many there are in each state; every state is there."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with self._database.reading() as connection:
            found: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in JobState}

    def run_outcome(self, id: str) -> str | None:
        """What came of a run: empty while it has not ended, None where the store has none of this id."""
        query = select(runs.c.ended_at, runs.c.outcome).where(runs.c.id == id)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return str(row.outcome or "") if row.ended_at is not None else ""

    def prune_jobs(self, older_than: float) -> int:
        """Forget jobs that ended before this time and have no run in the store; how many these were."""
        old = jobs.c.state.in_(_OVER) & (jobs.c.ended_at < older_than)
        with self._database.writing() as connection:
            gone = delete(jobs).where(old, jobs.c.id.not_in(select(runs.c.id)))
            return int(connection.execute(gone).rowcount)

    def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or prolong a lease; False while another holder has it and it has not run out."""
        now = self._now()
        with self._database.writing(durable=False) as connection:
            upsert(
                connection,
                leases,
                {"name": name, "holder": "", "until": 0.0},
                keys=("name",),
                update=(),
            )
            mine = or_(leases.c.holder == holder, leases.c.until <= now)
            taken = update(leases).where(leases.c.name == name, mine)
            done = connection.execute(taken.values(holder=holder, until=now + seconds))
            return bool(done.rowcount)

    # How it is done.

    def _is_something_due(self) -> bool:
        due = (jobs.c.state == _QUEUED) & (jobs.c.not_before <= self._now())
        with self._database.reading() as connection:
            return connection.execute(select(jobs.c.number).where(due).limit(1)).first() is not None

    def _one_at_a_time(self, connection: Connection) -> None:
        # SQLite's write transaction is such a lock itself.
        if not self._database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CLAIMS_KEY})

    def _by_key(self, connection: Connection, request: JobRequest) -> AnyRow | None:
        if not request.idempotency_key:
            return None
        same = (jobs.c.requested_by == request.requested_by) & (
            jobs.c.idempotency_key == request.idempotency_key
        )
        return connection.execute(select(jobs).where(same)).first()

    def _refuse(self, connection: Connection, request: JobRequest, most: int) -> None:
        for table in (jobs, runs):
            if connection.execute(select(table.c.id).where(table.c.id == request.id)).first():
                raise JobExists(f"there is a job or a run {request.id} already")
        if most <= 0:
            return
        waiting = select(func.count()).select_from(jobs).where(jobs.c.state == _QUEUED)
        count = connection.execute(waiting).scalar_one()
        if count >= most:
            raise QueueFull(
                f"{count} runs are waiting, and no more than {most} may: try again later"
            )

    def _insert_job(self, connection: Connection, request: JobRequest) -> None:
        connection.execute(insert(jobs).values(**self._row(request)))

    def _row(self, request: JobRequest) -> dict[str, Any]:
        return {
            "id": request.id,
            "kind": request.kind,
            "experiment": request.experiment,
            "source": request.source,
            "variables": dump(request.variables),
            "dry_run": request.dry_run,
            "tags": dump(request.tags),
            "seed": request.seed,
            "payload": dump(request.payload),
            "not_before": request.not_before,
            "exclusive": request.exclusive,
            "requested_by": request.requested_by,
            "requested_from": request.requested_from,
            "idempotency_key": request.idempotency_key or None,
            "fingerprint": _wanted(request),
            "state": _QUEUED,
            "requested_at": self._now(),
            "executor": "",
            "claim": "",
            "attempts": 0,
            **self._me(),
            "detail": "",
            "abort_reason": "",
            "abort_by": "",
            "result": "{}",
        }

    def _me(self) -> dict[str, Any]:
        process = self._process()
        return {
            "host": process.machine.host,
            "boot": process.machine.boot,
            "pid_space": process.machine.pids,
            "pid": process.pid,
            "process_started": process.started,
            "heartbeat": self._now(),
        }

    def _change(self, held: Any, **values: Any) -> bool:
        with self._database.writing() as connection:
            return bool(connection.execute(update(jobs).where(held).values(**values)).rowcount)

    def _job(self, row: AnyRow) -> Job:
        state = JobState(row.state)
        alive = False
        if row.state in _UNDER_WAY:
            alive = is_alive(process_of(row), row.heartbeat, self._now())
        return Job(
            id=row.id,
            kind=row.kind,
            experiment=row.experiment,
            source=row.source,
            variables=parsed(row.variables),
            dry_run=bool(row.dry_run),
            tags=tuple(parsed(row.tags)),
            seed=row.seed,
            requested_by=row.requested_by,
            requested_from=row.requested_from,
            idempotency_key=row.idempotency_key or "",
            payload=parsed(row.payload),
            not_before=row.not_before,
            exclusive=row.exclusive,
            state=state,
            requested_at=row.requested_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            executor=row.executor,
            claim=row.claim,
            attempts=row.attempts,
            worker=f"{row.host}:{row.pid}" if row.state in _UNDER_WAY else "",
            alive=alive,
            here=is_here(process_of(row)),
            exit_code=row.exit_code,
            detail=row.detail,
            abort_reason=row.abort_reason,
            abort_by=row.abort_by,
            result=parsed(row.result),
        )


def _wanted(request: JobRequest) -> str:
    return fingerprint({name: getattr(request, name) for name in _COMPARED})


def fingerprint(content: Mapping[str, Any]) -> str:
    """The same for the same content, whatever the order of its keys."""
    canonical = json.dumps(jsonable(content), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
