"""An index of words: series, targets of faults and titles are found however many runs are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sloguard.adapters.store.searching import Thing, series_of, target_of, title_of
from sloguard.core.words import words

revision = "0008"
down_revision = "0007"

IDENTIFIER = sa.String(length=128).with_variant(sa.String(length=128, collation="C"), "postgresql")
WORD = sa.String(length=60).with_variant(sa.String(length=60, collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT_ONCE = 500


def upgrade() -> None:
    op.create_table(
        "search_things",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "search_words",
        sa.Column("word", WORD, nullable=False),
        sa.Column("thing", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["thing"], ["search_things.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("word", "thing"),
    )
    op.create_index("search_words_of", "search_words", ["thing", "word"])
    op.create_table(
        "search_mentions",
        sa.Column("thing", NUMBER, nullable=False),
        sa.Column("run", IDENTIFIER, nullable=False),
        sa.ForeignKeyConstraint(["thing"], ["search_things.number"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("thing", "run"),
    )
    op.create_index("search_mentions_of", "search_mentions", ["run"])
    _fill()


def _fill() -> None:
    """What the runs of before are found by; some hundred runs at a time, however many there are."""
    connection = op.get_bind()
    known: dict[str, int] = {}
    runs = connection.execute(sa.text("SELECT id, experiment, title FROM runs")).all()
    for start in range(0, len(runs), _AT_ONCE):
        some = runs[start : start + _AT_ONCE]
        experiments = {run: experiment for run, experiment, _ in some}
        found = [(run, title_of(experiment, title)) for run, experiment, title in some]
        for query, made in ((_SERIES, series_of), (_TARGETS, target_of)):
            rows = connection.execute(query, {"runs": list(experiments)})
            found += [(run, made(experiments[run], name, detail)) for run, name, detail in rows]
        _mention(connection, known, found)


def _mention(
    connection: sa.Connection, known: dict[str, int], found: list[tuple[str, Thing]]
) -> None:
    new = {thing.digest: thing for _, thing in found if thing.digest not in known}
    if new:
        rows = [{**thing._asdict(), "digest": digest} for digest, thing in new.items()]
        connection.execute(_THING, [{k: v for k, v in row.items() if k != "texts"} for row in rows])
        numbers = connection.execute(_NUMBERS, {"digests": list(new)})
        known.update({row.digest: row.number for row in numbers})
        spoken = [
            {"word": word, "thing": known[digest]}
            for digest, thing in new.items()
            for word in words(*thing.texts)
        ]
        if spoken:
            connection.execute(_WORD, spoken)
    pairs = {(known[thing.digest], run) for run, thing in found}
    connection.execute(_MENTION, [{"thing": thing, "run": run} for thing, run in sorted(pairs)])


_SERIES = sa.text(
    "SELECT run, slo, labels FROM verdicts WHERE labels <> '' AND run IN :runs"
).bindparams(sa.bindparam("runs", expanding=True))
_TARGETS = sa.text("SELECT run, fault, target FROM faults WHERE run IN :runs").bindparams(
    sa.bindparam("runs", expanding=True)
)
_NUMBERS = sa.text("SELECT digest, number FROM search_things WHERE digest IN :digests").bindparams(
    sa.bindparam("digests", expanding=True)
)
_THING = sa.text(
    "INSERT INTO search_things (kind, experiment, name, detail, digest) "
    "VALUES (:kind, :experiment, :name, :detail, :digest)"
)
_WORD = sa.text("INSERT INTO search_words (word, thing) VALUES (:word, :thing)")
_MENTION = sa.text("INSERT INTO search_mentions (thing, run) VALUES (:thing, :run)")
