"""The samples of several series, as text, into one flat array of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Texts such as ``1,"2"],[3,"4"]]}``, the samples of one series each, up to its end -> time, value, time,
#: value, … of all of them; None where they hold anything but samples.
NumberParser = Callable[[Sequence[bytes]], "Floats | None"]


def number_parser() -> NumberParser:
    """The fastest parser at hand; not to be shared between threads.

    simdjson makes no object of any number, which halves the time of a large answer; where it is not
    installed msgspec does it.
    """
    try:
        import simdjson
    except ImportError:
        return parse_plainly
    parser = simdjson.Parser()

    def parse(texts: Sequence[bytes]) -> Floats | None:
        joined = b",".join(texts)
        bare = joined.translate(None, b'[]}"')
        try:
            listed = cast("simdjson.Array", parser.parse(b"[" + bare + b"]"))
            numbers = np.frombuffer(listed.as_buffer(of_type="d"), dtype=np.float64)
        except (ValueError, TypeError, RuntimeError):
            # NaN and Inf are no JSON, and integers beyond 64 bits are not read.
            return parse_plainly(texts)
        left_out = len(joined) - len(bare)
        return numbers if _fits(numbers, left_out, len(texts), per_sample=4) else None

    return parse


def parse_plainly(texts: Sequence[bytes]) -> Floats | None:
    """Reads what simdjson does, and NaN and Inf."""
    joined = b",".join(texts)
    bare = joined.translate(None, b"[]}")
    try:
        listed = _numbers.decode(b"[" + bare.replace(b'"+Inf"', b'"Inf"') + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    numbers = np.fromiter(listed, np.float64, len(listed))
    left_out = len(joined) - len(bare)
    return numbers if _fits(numbers, left_out, len(texts), per_sample=2) else None


_numbers = msgspec.json.Decoder(list[float], strict=False)


def _fits(numbers: Floats, left_out: int, texts: int, per_sample: int) -> bool:
    """Whether as many brackets and quotes were left out as so many samples have."""
    samples, odd = divmod(len(numbers), 2)
    return not odd and left_out == samples * per_sample + texts
