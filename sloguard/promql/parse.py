"""Text -> tree, by promql-parser, with positions and with errors that people can act on."""

from __future__ import annotations

import difflib
import functools
import re
from typing import Any

from sloguard.promql.build import build
from sloguard.promql.errors import PromqlError, position_at
from sloguard.promql.functions import AGGREGATIONS, KNOWN, RANGE_FUNCTIONS
from sloguard.promql.outline import Outline, outline
from sloguard.promql.tokens import Token, without_underscores
from sloguard.promql.tree import Node

#: The library's parser recurses on the machine's stack and takes the process with it where that ends.
#: A thread of half a megabyte stands 300 levels of most kinds; the usual 8 MB thousands.
MAX_LEVELS = 300

#: Known to servers, not to the library: Prometheus until 3.0, and Thanos.
_MORE_FUNCTIONS = {"holt_winters": 2, "xrate": 0, "xincrease": 0, "xdelta": 0}

_UNKNOWN_FUNCTION = re.compile(r"unknown function with name '([^']*)'")
_NEEDS_RANGE = re.compile(r"expected type matrix in call to function '([^']*)', got (\w+)")
_CALL = re.compile(r"call to (?:function )?'([^']*)'")
_REGEX = re.compile(r"illegal regex for (.*)", re.DOTALL)


@functools.lru_cache(maxsize=1)
def _library() -> Any:
    import promql_parser

    matrix, scalar = promql_parser.ValueType.Matrix, promql_parser.ValueType.Scalar
    promql_parser.register_extra_functions(
        [
            promql_parser.Function(
                name, [matrix] + [scalar] * scalars, promql_parser.ValueType.Vector
            )
            for name, scalars in _MORE_FUNCTIONS.items()
        ]
    )
    return promql_parser


def parse(query: str) -> Node:
    """The tree of a query; raises PromqlError, whatever is wrong with it."""
    return read(query, _library())


def read(query: str, library: Any) -> Node:
    """As ``parse``, by a given library (what ``import promql_parser`` gives)."""
    if not isinstance(query, str):
        raise PromqlError(f"expected a query as text, found {type(query).__name__}")
    found = outline(query)
    if found.levels > MAX_LEVELS:
        raise _too_deep()
    try:
        parsed = library.parse(without_underscores(query, found.tokens))
        return build(parsed, query, found)
    except PromqlError:
        raise
    except ValueError as error:
        raise _explained(query, found, str(error)) from error
    except RecursionError as error:
        raise _too_deep() from error
    except OverflowError as error:
        raise PromqlError("a duration is out of range", hint="write less than 290 years") from error
    except BaseException as error:
        # The library is written in Rust; a panic there arrives as a BaseException of its own.
        if type(error).__name__ != "PanicException":
            raise
        raise PromqlError(f"the parser failed on this query: {error}") from error


def _too_deep() -> PromqlError:
    return PromqlError(
        f"the query is too deep: more than {MAX_LEVELS} brackets, ranges and operators",
        hint="put parts of it into recording rules",
    )


def _explained(query: str, found: Outline, message: str) -> PromqlError:
    """The library's message, made better and placed where that can be known."""
    trouble = found.trouble
    if trouble:
        return PromqlError(
            trouble.message,
            position_at(query, trouble.offset),
            hint=trouble.hint,
            unsupported=trouble.unsupported,
        )
    unknown = _UNKNOWN_FUNCTION.search(message)
    if unknown:
        return _unknown_function(query, found, unknown[1])
    needs_range = _NEEDS_RANGE.search(message)
    if needs_range:
        return _needs_range(query, found, needs_range[1])
    regex = _REGEX.search(message)
    if regex:
        tokens = [t for t in found.tokens if t.kind == "string" and t.text[1:-1] == regex[1]]
        return _placed(query, tokens, f"'{regex[1]}' is not a regular expression")
    call = _CALL.search(message)
    tokens = [t for t in found.calls if call and t.word == call[1].lower()]
    return _placed(query, tokens, message)


def _placed(
    query: str, tokens: list[Token], message: str, hint: str = "", *, unsupported: bool = False
) -> PromqlError:
    """The error at this token; without a place if several could be meant."""
    place = position_at(query, tokens[0].offset) if len(tokens) == 1 else None
    return PromqlError(message, place, hint=hint, unsupported=unsupported)


def _unknown_function(query: str, found: Outline, name: str) -> PromqlError:
    near = difflib.get_close_matches(name, [*KNOWN, *sorted(AGGREGATIONS)], n=1, cutoff=0.75)
    tokens = [t for t in found.calls if t.text == name][:1]
    hint = f"did you mean '{near[0]}'?" if near else ""
    return _placed(query, tokens, f"unknown function '{name}'", hint, unsupported=not near)


def _needs_range(query: str, found: Outline, name: str) -> PromqlError:
    hint = f"such as {name}(metric[1m])"
    tokens = [t for t in found.calls if t.word == name]
    index = found.tokens.index(tokens[0]) if tokens else -1
    inner = [t for t in found.tokens[index + 1 :] if t.kind != "("][:1]
    if name in RANGE_FUNCTIONS and inner and inner[0].word in AGGREGATIONS:
        hint = (
            f"take the {name} first, then the {inner[0].word}: {inner[0].word}({name}(metric[1m]))"
        )
    return _placed(query, tokens, f"{name}() needs a range", hint)
