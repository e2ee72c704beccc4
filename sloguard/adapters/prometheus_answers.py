"""The frame of Prometheus's answers: status, notes, and the series, cut apart but not yet decoded."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from sloguard.adapters.prometheus_errors import excerpt
from sloguard.core.series import PARTIAL
from sloguard.ports import BadAnswer

#: How annotations of a query begin, which older servers put among the warnings.
_ABOUT_THE_QUERY = "PromQL "

# Inside a JSON string every quote is escaped, so these cannot occur there: `"metric":` would be
# `\"metric\":`. They are how Prometheus, Thanos, Mimir and VictoriaMetrics write an answer.
_SERIES_LIST = b'"result":['
_FIRST_SERIES = b'"result":[{"metric":{'
_NEXT_SERIES = b'},{"metric":{'
VALUES = b',"values":[['
METRIC = b'{"metric":'
LAST_VALUE = b'"]]}'


class Data(msgspec.Struct):
    """The data of a query."""

    resultType: str = ""  # noqa: N815 - the API's name
    result: list[Raw] = []


class Answer(msgspec.Struct):
    """The answer to a query."""

    status: str
    data: Data | None = None
    warnings: list[str] | None = None
    infos: list[str] | None = None
    isPartial: bool = False  # noqa: N815 - VictoriaMetrics' name


answers = msgspec.json.Decoder(Answer)


def cut(body: bytes | bytearray) -> tuple[int, Iterator[bytes], Answer]:
    """An answer as its series (how many, and each as it was written) and the rest of it."""
    first = body.find(_FIRST_SERIES)
    if first >= 0:
        starts = list(_starts(body, first + len(_SERIES_LIST)))
        # After the labels of the last series no text can hold the end of the list.
        last = body.find(VALUES, starts[-1])
        end = body.find(LAST_VALUE + b"]", last) + len(LAST_VALUE)
        if last >= 0 and end >= len(LAST_VALUE):
            rest = bytes(body[: first + len(_SERIES_LIST)]) + bytes(body[end:])
            # A histogram in the last series makes this cut wrong; then what is left is no JSON.
            with contextlib.suppress(msgspec.DecodeError):
                return len(starts), _slices(body, starts, end), answers.decode(rest)
    answer: Answer = decode(answers, body)
    result = answer.data.result if answer.data else []
    return len(result), (bytes(raw) for raw in result), answer


def _starts(body: bytes | bytearray, first: int) -> Iterator[int]:
    at = first
    while at >= 2:
        yield at
        # -1, not found, becomes 1: before any series.
        at = body.find(_NEXT_SERIES, at) + 2


def _slices(body: bytes | bytearray, starts: list[int], end: int) -> Iterator[bytes]:
    view = memoryview(body)
    for start, following in itertools.zip_longest(starts, starts[1:], fillvalue=end + 1):
        yield bytes(view[start : following - 1])


def decode(decoder: msgspec.json.Decoder[Any], body: bytes | bytearray | Raw) -> Any:
    """What the decoder makes of it; raises BadAnswer, showing how it begins."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = excerpt("", bytes(memoryview(body)[:2048]))
        raise BadAnswer(
            f"the answer is not what Prometheus's API gives: {error}; it begins: {said}"
        ) from error


def notes_of(answer: Answer) -> Iterator[str]:
    """Warnings and infos, word for word; raises BadAnswer for an answer that is no success.

    A warning that is not about the query itself is about the storage: some of it did not answer.
    """
    if answer.status != "success":
        raise BadAnswer(f"the answer has the status '{answer.status}', not 'success'")
    for warning in answer.warnings or ():
        yield warning if warning.startswith(_ABOUT_THE_QUERY) else PARTIAL + warning
    yield from answer.infos or ()
    if answer.isPartial:
        yield f"{PARTIAL}some of the storage did not answer"


def decode_data(body: bytes | bytearray, kind: Any) -> Any:
    """The ``data`` of another endpoint as ``kind`` (a type that msgspec knows); raises BadAnswer."""
    decoder = _wrappers.get(kind)
    if decoder is None:
        wrapper = msgspec.defstruct("Wrapper", [("status", str), ("data", kind)])
        decoder = _wrappers[kind] = msgspec.json.Decoder(wrapper)
    return decode(decoder, body).data


_wrappers: dict[Any, msgspec.json.Decoder[Any]] = {}
