"""The tables of search: things that have words, and the runs that they occur in.

A thing (a series of an SLO, a target of a fault, a title) stands here once, however many runs it occurs
in: looking for words takes as long with many runs as with few.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from sloguard.adapters.store.tables import CleanText, metadata
from sloguard.core.words import LONGEST

# As in ``tables``: compared byte by byte everywhere.
_Id = String(128).with_variant(String(128, collation="C"), "postgresql")
_Word = String(LONGEST).with_variant(String(LONGEST, collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")

things = Table(
    "search_things",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    # series, target or title.
    Column("kind", String(16), nullable=False),
    Column("experiment", CleanText, nullable=False),
    # An SLO's name, a fault's, nothing.
    Column("name", CleanText, nullable=False),
    # Labels as JSON, a target, a title.
    Column("detail", CleanText, nullable=False),
    # Of the four above: an index over them would be as large as they are.
    Column("digest", String(32), nullable=False, unique=True),
)


def _thing() -> Column[int]:
    return Column(
        "thing", _Number, ForeignKey("search_things.number", ondelete="CASCADE"), primary_key=True
    )


words = Table(
    "search_words",
    metadata,
    Column("word", _Word, primary_key=True),
    _thing(),
    Index("search_words_of", "thing", "word"),
)

mentions = Table(
    "search_mentions",
    metadata,
    _thing(),
    Column("run", _Id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Index("search_mentions_of", "run"),
)
