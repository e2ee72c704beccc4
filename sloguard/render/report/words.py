"""What templates say numbers, times and verdicts with; the same words in every form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from sloguard.core.text import format_duration, format_value
from sloguard.render.backlog import SIGNS as BACKLOG_SIGNS
from sloguard.render.report.period import zone_of

SIGNS = {
    "met": "✓",
    "deviated": "✗",
    "inconclusive": "?",
    "not-judged": "–",
    "not-started": "–",
    "aborted": "◼",
    "not-restored": "!",
}
NO_SERVICE, NO_TEAM = "no service label", "no team"


def sign(state: str) -> str:
    """It stands beside the colour, and says the same."""
    return SIGNS.get(str(state), "·")


def stands(status: str) -> str:
    """The sign of a hypothesis' status."""
    return BACKLOG_SIGNS.get(status, "·")


def span(seconds: float | None, nothing: str = "–") -> str:
    """'1m15s'; whole seconds from ten on."""
    if seconds is None:
        return nothing
    return format_duration(round(seconds, 1) if seconds < 10 else round(seconds))


def share(value: float | None, nothing: str = "–") -> str:
    """'60%'."""
    return nothing if value is None else format_value(value, "%")


def count(value: float | None, nothing: str = "–") -> str:
    """'1,990', '4.75'."""
    if value is None:
        return nothing
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"  # fmt: skip


def plural(number: int, one: str, many: str = "") -> str:
    """'1 run', '2 runs'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(items: list[str], most: int = 6) -> str:
    """'a, b and 3 more'."""
    shown = ", ".join(str(item) for item in items[:most])
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")


_LONG = re.compile(r"\S{25,}")


def soft(value: Any) -> Markup:
    """A text for HTML whose long words may be broken: paper cannot be scrolled."""
    pieces, last = [], 0
    text = str("" if value is None else value)
    for found in _LONG.finditer(text):
        word = found[0]
        parts = (escape(word[at : at + 12]) for at in range(0, len(word), 12))
        pieces += [escape(text[last : found.start()]), Markup("<wbr>").join(parts)]
        last = found.end()
    return Markup("").join([*pieces, escape(text[last:])])


def moments(zone: str) -> Callable[..., str]:
    """A filter that writes ISO 8601 times in this zone."""
    place = zone_of(zone)

    def at(moment: str | None, form: str = "%Y-%m-%d %H:%M") -> str:
        if not moment:
            return "–"
        return datetime.fromisoformat(moment).astimezone(place).strftime(form)

    return at


def changed(new: float | None, old: float | None) -> str:
    """'up from 30%', or what it was; empty where there is nothing to compare."""
    if new is None or old is None:
        return ""
    return "as before" if new == old else "up from " if new > old else "down from "


_SPECIAL = re.compile(r"([\\`*\[\]|~#])")
_EDGE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LINKS = re.compile(r"(?i)\b(https?|ftp)://|\bwww\.")
_LIST = re.compile(r"^([-+]|\d+[.)])(?=\s)")


def md(value: Any) -> str:
    """A text of others in one line of Markdown: nothing of it is markup, a link or HTML."""
    text = " ".join(str("" if value is None else value).split())
    text = _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
    text = _EDGE_UNDERSCORE.sub(r"\\_", _SPECIAL.sub(r"\\\1", text))
    # What looks like an address becomes a link by itself.
    text = _LINKS.sub(lambda found: found[0][:1] + "\u200b" + found[0][1:], text)
    return _LIST.sub(r"\\\1", text)


def fence(value: str) -> str:
    """A block of code that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", value)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}\n{value.rstrip()}\n{marks}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "sign": sign,
    "stands": stands,
    "span": span,
    "share": share,
    "count": count,
    "listed": listed,
    "soft": soft,
    "md": md,
    "fence": fence,
}
GLOBALS: Mapping[str, Any] = {
    "plural": plural,
    "changed": changed,
    "NO_SERVICE": NO_SERVICE,
    "NO_TEAM": NO_TEAM,
}
