"""Labels that matchers pick, and labels that they do not: what the series of a simulation are called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sloguard.promql.windowed import quoted

#: Values that people's matchers tend to pick, or to leave out; empty: the label is not there.
# fmt: off
_CANDIDATES = (
    "200", "500", "503", "404", "a", "", "0", "1", "GET", "POST", "true", "false", "OK", "error", "success", "/", "prod", "/a",
)
# fmt: on
_PIECES = re.compile(r"[|()^$]+")


class Unknown(Exception):
    """This query is not simulated."""


class Matcher(NamedTuple):
    """As in ``ports.Selection``."""

    name: str
    op: str
    value: str


def labels_of(matchers: Iterable[Matcher], grouping: Iterable[str]) -> dict[str, str]:
    """Labels that all matchers pick; labels that are grouped by are there."""
    wanted: dict[str, list[Matcher]] = {name: [] for name in sorted(grouping)}
    for matcher in matchers:
        wanted.setdefault(matcher.name, []).append(matcher)
    return {
        name: value
        for name, several in wanted.items()
        if (value := _value(several, some=not several))
    }


def labels_beside(
    needed: Sequence[Matcher], avoided: Sequence[Matcher], grouping: Iterable[str]
) -> dict[str, str]:
    """Labels that the first matchers pick and the others do not."""
    extra = [m for m in avoided if m not in needed]
    for matcher in extra:
        same = [m for m in needed if m.name == matcher.name]
        for value in _options([*same, matcher]):
            if all(_picks(m, value) for m in same) and not _picks(matcher, value):
                found = labels_of(
                    [m for m in needed if m.name != matcher.name], set(grouping) - {matcher.name}
                )
                return {**found, matcher.name: value} if value else found
    raise Unknown


def _value(matchers: Sequence[Matcher], *, some: bool) -> str:
    if some:
        return "a"
    for value in _options(matchers):
        if all(_picks(m, value) for m in matchers):
            return value
    raise Unknown


def _options(matchers: Sequence[Matcher]) -> Iterator[str]:
    for matcher in matchers:
        if matcher.op in ("=", "!="):
            yield matcher.value
            continue
        for piece in _PIECES.split(matcher.value):
            for any_, digit in itertools.product(("", "a", "0"), ("0", "5")):
                text = re.sub(r"\.[*+]\??", any_ or "", piece)
                text = re.sub(r"\\d|\[[^\]]*0[^\]]*\]", digit, text)
                yield re.sub(
                    r"\\(.)", r"\1", text.replace(".", digit) if "\\" not in text else text
                )
    yield from _CANDIDATES


def _picks(matcher: Matcher, value: str) -> bool:
    try:
        same = (
            value == matcher.value
            if matcher.op in ("=", "!=")
            else re.fullmatch(matcher.value, value) is not None
        )
    except re.error:
        raise Unknown from None
    return same == (matcher.op in ("=", "=~"))


def series_name(metric: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(
        f"{name}={quoted(value)}" for name, value in sorted(labels.items()) if name != "__name__"
    )
    return f"{metric}{{{inside}}}"
