"""Reading the closed parts of a query: matchers, label lists, ranges, offsets, times."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sloguard.promql.tokens import Token, tokenize

SIGNS = ("+", "-")
_CALCULATED = frozenset({"step", "range", "max", "min", "max_of", "min_of"})
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][+-]?[0-9_]+)?"
)
_DURATION = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")

_INSTEAD = {
    "&": "'and' joins two vectors",
    "|": "'or' joins two vectors",
    "!": "'unless' takes series away; '!=' compares",
    "=": "equality is '=='",
    "$": "variables of a dashboard are not known here: write the value, such as 1m",
    "\u00a0": "it is a no-break space: write a plain one",
    "\ufeff": "it is a byte order mark: delete it",
    ";": "one query has one expression",
}
_TEMPLATE = "variables of a template are not known here: write the value, such as 1m"
NEWER = "this is an experiment of newer servers: write a plain duration"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Where a query goes wrong and why, as far as its shape tells. ``offset``: a character of it."""

    message: str
    offset: int
    hint: str = ""
    unsupported: bool = False


class Stop(Exception):
    """The pass ends here."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


class Cursor:
    """The tokens of a query, and how far they were read."""

    def __init__(self, query: str) -> None:
        self.query = query
        self.tokens = tokenize(query)
        self.at = 0
        self.end = Token("end", "", len(query.rstrip()))

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one further on; ``end`` beyond the last."""
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else self.end

    def take(self) -> Token:
        """The next token, which is then read."""
        token = self.peek()
        self.at += 1
        return token

    def skip_to(self, kind: str) -> None:
        """Read up to and with the next token of this kind."""
        while (token := self.take()).kind != kind:
            if token is self.end:
                raise self.stop(token, f"'{kind}' is missing")

    def stop(
        self, token: Token, message: str, hint: str = "", *, unsupported: bool = False
    ) -> Stop:
        """What to raise where the query goes wrong."""
        if token.kind == "bad" and token.text in ('"', "'", "`"):
            return Stop(Trouble("this string is never closed", token.offset))
        if not hint and token.kind in ("bad", "operator", "{"):
            template = self.query.startswith("{{", token.offset)
            hint = _TEMPLATE if template else _INSTEAD.get(token.text, "")
        return Stop(Trouble(message, token.offset, hint, unsupported))

    def check_number(self, token: Token) -> None:
        """A number or a duration, not ``5x``."""
        if not (_NUMBER.fullmatch(token.text) or _DURATION.fullmatch(token.text)):
            raise self.stop(
                token,
                f"'{token.text}' is neither a number nor a duration",
                "durations are written 500ms, 30s, 1m30s, 2h, 7d, 4w, 1y",
            )

    def labels(self, keyword: Token) -> None:
        """``(label, label)`` after ``by`` and its like."""
        opening = self.take()
        if opening.kind != "(":
            raise self.stop(
                opening,
                f"expected '(' after '{keyword.text}'",
                f"labels stand in parentheses: {keyword.word} (service)",
            )
        while (token := self.take()).kind != ")":
            if token is self.end:
                raise self.stop(opening, "this '(' is never closed")
            if token.kind not in ("name", "string", ","):
                raise self.stop(token, f"expected a label name, found '{token.text}'")

    def matchers(self, opening: Token) -> None:
        """The rest of ``{label="value", …}``."""
        wants = "name"
        while (token := self.take()).kind != "}":
            if token is self.end:
                raise self.stop(opening, "this '{' is never closed")
            wants = self._matcher_part(token, wants)
        if wants in ("operator", "value"):
            raise self.stop(token, "a matcher is not complete", 'write label="value"')

    def _matcher_part(self, token: Token, wants: str) -> str:
        """What may come after this token; 'any': a metric name in quotes may stand alone."""
        if wants == "name" and token.kind in ("name", "string"):
            return "operator" if token.kind == "name" else "any"
        if wants in ("operator", "any") and token.text in ("=", "!=", "=~", "!~"):
            return "value"
        if wants == "value" and token.kind == "string":
            return "separator"
        if wants in ("separator", "any") and (token.kind == "," or token.word == "or"):
            return "name"
        if token.text == "==":
            raise self.stop(token, "'==' does not match labels", "write '='")
        expected = {
            "name": "a label name",
            "operator": "one of = != =~ !~",
            "value": "a value in quotes",
            "separator": "',' or '}'",
            "any": "',' or '}'",
        }[wants]
        hint = f'write "{token.text}"' if wants == "value" and token.kind == "name" else ""
        raise self.stop(token, f"expected {expected}, found '{token.text}'", hint)

    def range(self, opening: Token) -> bool:
        """The rest of ``[5m]`` or ``[5m:1m]``; whether it is a subquery's."""
        parts: list[Token] = []
        while (token := self.take()).kind != "]":
            if token is self.end:
                raise self.stop(opening, "this '[' is never closed")
            self._range_part(token)
            parts.append(token)
        if not parts:
            raise self.stop(token, "expected a duration in the brackets", "such as [1m]")
        return any(part.text.startswith(":") for part in parts)

    def _range_part(self, token: Token) -> None:
        if token.kind == "number":
            self.check_number(token)
        elif token.text in ("+", "-", "*", "/", "%", "^", "(") or token.word in _CALCULATED:
            raise self._calculated(token)
        elif token.kind != "name" or not token.text.startswith(":"):
            raise self.stop(token, f"expected a duration, found '{token.text}'")

    def _calculated(self, token: Token) -> Stop:
        return self.stop(token, "durations cannot be calculated here", NEWER, unsupported=True)

    def offset(self, keyword: Token) -> None:
        """The duration after ``offset``."""
        if self.peek().text in SIGNS:
            self.at += 1
        token = self.take()
        if token.kind == "(" or token.word in _CALCULATED:
            raise self._calculated(token)
        if token.kind != "number":
            place = keyword if token is self.end else token
            raise self.stop(place, "expected a duration after 'offset'", "such as offset 1h")
        self.check_number(token)

    def pin(self, keyword: Token) -> None:
        """The time after ``@``."""
        if self.peek().text in SIGNS:
            self.at += 1
        token = self.take()
        if token.word in ("start", "end") and self.peek().kind == "(":
            self.skip_to(")")
        elif token.kind != "number" and token.word not in ("inf", "nan"):
            place = keyword if token is self.end else token
            raise self.stop(place, "expected a time after '@'", "seconds since 1970: @ 1609746000")
