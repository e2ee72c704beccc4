"""The samples of one series, as text, into one flat array of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: (a series as it was written, where its first time begins) -> time, value, time, value, …; None where
#: the text up to the end of the series is not just samples.
NumberParser = Callable[[bytes, int], "Floats | None"]


def number_parser() -> NumberParser:
    """The fastest parser at hand for ``1,"2"],[3,"4"]]}``; not to be shared between threads.

    simdjson makes no object of any number, which halves the time of a large answer; where it is not
    installed msgspec does it.
    """
    try:
        import simdjson
    except ImportError:
        return parse_plainly
    parser = simdjson.Parser()

    def parse(one: bytes, start: int) -> Floats | None:
        text = one[start:].translate(None, b'[]}"')
        try:
            listed = cast("simdjson.Array", parser.parse(b"[" + text + b"]"))
            buffer = listed.as_buffer(of_type="d")
        except ValueError:
            # NaN and Inf are no JSON.
            return parse_plainly(one, start)
        numbers = np.frombuffer(buffer, dtype=np.float64)
        return numbers if _fits(one, start, text, numbers, per_sample=4) else None

    return parse


def parse_plainly(one: bytes, start: int) -> Floats | None:
    """Times and values in turn; None where the text is not just samples."""
    text = one[start:].translate(None, b"[]}")
    try:
        listed = _numbers.decode(b"[" + text.replace(b'"+Inf"', b'"Inf"') + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    numbers = np.fromiter(listed, np.float64, len(listed))
    return numbers if _fits(one, start, text, numbers, per_sample=2) else None


_numbers = msgspec.json.Decoder(list[float], strict=False)


def _fits(one: bytes, start: int, text: bytes, numbers: Floats, per_sample: int) -> bool:
    """Whether as many brackets and quotes were left out as so many samples have."""
    samples, odd = divmod(len(numbers), 2)
    return not odd and len(one) - start - len(text) == samples * per_sample + 1
