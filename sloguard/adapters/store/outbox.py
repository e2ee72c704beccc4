"""Messages to others, kept until they have arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, func, or_, select, text, update

from sloguard.adapters.store.base import StorePart, parsed, upsert
from sloguard.adapters.store.tables import outbox
from sloguard.core.jsonable import dump
from sloguard.ports.outbox import Draft, Message, MessageState

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from sloguard.adapters.store.base import AnyRow, AnySelect

#: "sgoutbox", for PostgreSQL's advisory lock: numbers become visible in their order.
_PUT_KEY = 0x73676F7574626F78
_LONGEST_ERROR = 2000
_WAITING = MessageState.WAITING.value
#: By hand, what has not arrived and nobody is delivering can be changed.
_OPEN = (_WAITING, MessageState.FAILED.value, MessageState.DROPPED.value)


class OutboxPart(StorePart):
    """ports.outbox.Outbox."""

    def put(self, drafts: Sequence[Draft]) -> int:
        """Keep messages, durably, all or none; how many were new. Raises ValueError for too long a name."""
        if not drafts:
            return 0
        for draft in drafts:
            _check(draft)
        with self._database.writing() as connection:
            if not self._database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PUT_KEY})
            return sum(self._put(connection, draft) for draft in drafts)

    def take(self, channels: Sequence[str], *, holder: str, seconds: float) -> Message | None:
        """The first message of any stream of these channels that is due, for ``seconds`` nobody else's."""
        now = self._now()
        # Most looks find nothing, and should cost little and hold up no writer.
        if not any(self._database.rows(_READY, {"channel": c, "now": now}) for c in channels):
            return None
        query = _due(channels, now).limit(1)
        with self._database.reading() as connection:
            if connection.execute(query).first() is None:
                return None
        with self._database.writing() as connection:
            number = connection.execute(query.with_for_update(skip_locked=True)).scalar()
            if number is None:
                return None
            mine = outbox.c.number == number
            taken = {"holder": holder, "held_until": now + seconds}
            connection.execute(
                update(outbox).where(mine).values(**taken, attempts=outbox.c.attempts + 1)
            )
            return _message(connection.execute(select(outbox).where(mine)).one())

    def delivered(self, number: int, holder: str, memory: Mapping[str, Any] | None = None) -> bool:
        """It has arrived. False: it is not this holder's any more."""
        values: dict[str, Any] = {} if memory is None else {"memory": dump(memory)}
        return self._end(_held(number, holder), MessageState.DELIVERED, "", **values)

    def remember(self, number: int, holder: str, memory: Mapping[str, Any]) -> bool:
        """Keep what the next attempt has to know. False: not this holder's."""
        return self._changed(_held(number, holder), memory=dump(memory))

    def postpone(self, number: int, holder: str, error: str, *, until: float) -> bool:
        """It did not arrive, and is due again at ``until``."""
        return self._changed(
            _held(number, holder), **_FREE, next_at=until, error=error[:_LONGEST_ERROR]
        )

    def give_up(self, number: int, holder: str, error: str) -> bool:
        """It will never arrive."""
        return self._end(_held(number, holder), MessageState.FAILED, error)

    def last_delivered(self, channel: str, stream: str) -> Message | None:
        """The last message of a stream that has arrived."""
        query = select(outbox).where(
            outbox.c.channel == channel,
            outbox.c.stream == stream,
            outbox.c.state == MessageState.DELIVERED.value,
        )
        return self._first(query.order_by(outbox.c.number.desc()).limit(1))

    def message(self, number: int) -> Message | None:
        """The message of this number, or None."""
        return self._first(select(outbox).where(outbox.c.number == number))

    def messages(
        self,
        *,
        states: Sequence[MessageState] = (),
        channel: str | None = None,
        stream: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> Sequence[Message]:
        """Newest first; ``before``: the number of the page before's last."""
        query = select(outbox).order_by(outbox.c.number.desc()).limit(limit)
        if states:
            query = query.where(outbox.c.state.in_([state.value for state in states]))
        if channel is not None:
            query = query.where(outbox.c.channel == channel)
        if stream is not None:
            query = query.where(outbox.c.stream == stream)
        if before is not None:
            query = query.where(outbox.c.number < before)
        with self._database.reading() as connection:
            return tuple(_message(row) for row in connection.execute(query))

    def message_counts(self) -> Mapping[tuple[str, MessageState], int]:
        """How many there are by channel and state."""
        query = select(outbox.c.channel, outbox.c.state, func.count())
        query = query.group_by(outbox.c.channel, outbox.c.state)
        with self._database.reading() as connection:
            return {(row[0], MessageState(row[1])): row[2] for row in connection.execute(query)}

    def oldest_waiting(self) -> Mapping[str, float]:
        """When the oldest message that waits was kept, by channel."""
        query = select(outbox.c.channel, func.min(outbox.c.created_at))
        query = query.where(outbox.c.state == _WAITING).group_by(outbox.c.channel)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def retry_message(self, number: int) -> bool:
        """Make a message that has not arrived due now. False: there is none such, or it is held."""
        # Its age and its attempts are counted anew: it is given another chance, not what is left of one.
        now = self._now()
        values = {"state": _WAITING, "next_at": now, "created_at": now, "attempts": 0}
        return self._changed(
            self._by_hand(number), **_FREE, **values, ended_at=None, expires_at=None
        )

    def drop_message(self, number: int) -> bool:
        """A person wants it no more; its key stays known. False: as ``retry_message``."""
        said = "dropped by a person"
        return self._end(self._by_hand(number), MessageState.DROPPED, said)

    def expire_messages(self, older_than: float) -> int:
        """Give up what waits and is past its time, or was kept before this one; how many these were."""
        now = self._now()
        old = or_(outbox.c.expires_at <= now, outbox.c.created_at < older_than)
        late = and_(outbox.c.state == _WAITING, outbox.c.held_until <= now, old)
        query = select(outbox.c.number, outbox.c.error).where(late)
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        gone = 0
        for row in found:
            said = f"it is too old by now: {row.error}" if row.error else "it is too old by now"
            gone += self._end(and_(outbox.c.number == row.number, late), MessageState.FAILED, said)
        return gone

    def prune_messages(self, older_than: float) -> int:
        """Forget what ended before this time, but nothing of a stream where something waits."""
        other = outbox.alias()
        waits = exists().where(
            other.c.channel == outbox.c.channel,
            other.c.stream == outbox.c.stream,
            other.c.state == _WAITING,
            outbox.c.stream != "",
        )
        old = and_(outbox.c.state != _WAITING, outbox.c.ended_at < older_than)
        with self._database.writing() as connection:
            return int(connection.execute(delete(outbox).where(old, ~waits)).rowcount)

    # How it is done.

    def _put(self, connection: Connection, draft: Draft) -> int:
        same = (outbox.c.channel == draft.channel) & (outbox.c.key == draft.key)
        if connection.execute(select(outbox.c.number).where(same)).first() is not None:
            return 0
        values = {
            "channel": draft.channel,
            "key": draft.key,
            "kind": draft.kind,
            "stream": draft.stream,
            "payload": dump(draft.payload),
            "created_at": self._now(),
            "expires_at": draft.expires_at,
            "state": _WAITING,
            "attempts": 0,
            "next_at": draft.not_before,
            "error": "",
            "memory": "{}",
            **_FREE,
        }
        upsert(connection, outbox, values, keys=("channel", "key"), update=())
        return 1

    def _by_hand(self, number: int) -> ColumnElement[bool]:
        free = outbox.c.held_until <= self._now()
        return and_(outbox.c.number == number, outbox.c.state.in_(_OPEN), free)

    def _end(
        self, mine: ColumnElement[bool], state: MessageState, error: str, **values: Any
    ) -> bool:
        ended = {"state": state.value, "ended_at": self._now(), "error": error[:_LONGEST_ERROR]}
        return self._changed(mine, **_FREE, **ended, **values)

    def _changed(self, mine: ColumnElement[bool], **values: Any) -> bool:
        with self._database.writing() as connection:
            return bool(connection.execute(update(outbox).where(mine).values(**values)).rowcount)

    def _first(self, query: AnySelect) -> Message | None:
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _message(row)


_FREE: Mapping[str, Any] = {"holder": "", "held_until": 0.0}


def _check(draft: Draft) -> None:
    """SQLite would take longer ones, and then they were different texts elsewhere."""
    for name, most in (("channel", 128), ("stream", 128), ("key", 255), ("kind", 64)):
        if len(getattr(draft, name)) > most:
            raise ValueError(f"the {name} of a message has more than {most} characters")


#: Whether a channel has anything that could be due, were it not for the order of its stream.
_READY = (
    select(outbox.c.number)
    .where(
        outbox.c.state == _WAITING,
        outbox.c.channel == bindparam("channel"),
        outbox.c.next_at <= bindparam("now"),
        outbox.c.held_until <= bindparam("now"),
    )
    .limit(1)
)


def _held(number: int, holder: str) -> ColumnElement[bool]:
    """Whether the lease has run out is no question as long as nobody else has taken it."""
    return and_(outbox.c.number == number, outbox.c.holder == holder, outbox.c.state == _WAITING)


def _due(channels: Sequence[str], now: float) -> AnySelect:
    """Numbers of messages that may be taken, oldest first: the first that waits of each stream."""
    earlier = outbox.alias()
    after_another = exists().where(
        earlier.c.channel == outbox.c.channel,
        earlier.c.stream == outbox.c.stream,
        earlier.c.state == _WAITING,
        earlier.c.number < outbox.c.number,
        outbox.c.stream != "",
    )
    return (
        select(outbox.c.number)
        .where(
            outbox.c.state == _WAITING,
            outbox.c.channel.in_(list(channels)),
            outbox.c.next_at <= now,
            outbox.c.held_until <= now,
            ~after_another,
        )
        .order_by(outbox.c.number)
    )


def _message(row: AnyRow) -> Message:
    return Message(
        channel=row.channel,
        key=row.key,
        kind=row.kind,
        stream=row.stream,
        payload=parsed(row.payload),
        not_before=row.next_at,
        expires_at=row.expires_at,
        number=row.number,
        created_at=row.created_at,
        state=MessageState(row.state),
        attempts=row.attempts,
        next_at=row.next_at,
        ended_at=row.ended_at,
        held_until=row.held_until,
        error=row.error,
        memory=parsed(row.memory),
    )
