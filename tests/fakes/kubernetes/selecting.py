"""Label and field selectors, as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.kubernetes.answers import bad_request
from tests.fakes.kubernetes.kinds import Kind

Matcher = Callable[[Mapping[str, str]], bool]
_TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|>|<|[^\s,()=!<>]+)")


def labels(text: str) -> Matcher:
    """A label selector; refuses what the server refuses."""
    tokens = _TOKEN.findall(text)
    tests: list[Matcher] = []
    while tokens:
        tests.append(_requirement(tokens))
        if tokens and tokens.pop(0) != ",":
            raise bad_request(
                f"unable to parse requirement: found '{text}', expected: ',' or 'end of string'"
            )
    return lambda found: all(test(found) for test in tests)


def _requirement(tokens: list[str]) -> Matcher:
    if tokens[0] == "!":
        tokens.pop(0)
        absent = tokens.pop(0)
        return lambda found: absent not in found
    key = tokens.pop(0)
    if not tokens or tokens[0] == ",":
        return lambda found: key in found
    operator = tokens.pop(0)
    if operator in ("in", "notin"):
        values = _values(tokens)
        if operator == "in":
            return lambda found: found.get(key) in values
        return lambda found: found.get(key) not in values
    value = tokens.pop(0) if tokens and tokens[0] != "," else ""
    if operator in ("=", "=="):
        return lambda found: found.get(key) == value
    if operator == "!=":
        return lambda found: found.get(key) != value
    raise bad_request(
        f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt"
    )


def _values(tokens: list[str]) -> set[str]:
    if not tokens or tokens[0] != "(":
        found = tokens[0] if tokens else ""
        raise bad_request(f"unable to parse requirement: found '{found}' expected: '('")
    tokens.pop(0)
    values = set()
    while tokens and (token := tokens.pop(0)) != ")":
        if token != ",":
            values.add(token)
    return values


def of_object(selector: Mapping[str, Any] | None) -> Matcher:
    """A ``matchLabels``/``matchExpressions`` selector; none matches nothing, an empty one everything."""
    if selector is None:
        return lambda _found: False
    wanted = selector.get("matchLabels") or {}
    tests: list[Matcher] = [lambda found: all(found.get(k) == v for k, v in wanted.items())]
    tests += [
        _expression(rule["key"], rule["operator"], set(rule.get("values") or ()))
        for rule in selector.get("matchExpressions") or []
    ]
    return lambda found: all(test(found) for test in tests)


def _expression(key: str, operator: str, values: set[str]) -> Matcher:
    return {
        "In": lambda found: found.get(key) in values,
        "NotIn": lambda found: found.get(key) not in values,
        "Exists": lambda found: key in found,
        "DoesNotExist": lambda found: key not in found,
    }[operator]


def fields(kind: Kind, text: str) -> Callable[[Mapping[str, Any]], bool]:
    """A field selector over the fields that this kind allows."""
    allowed = {"metadata.name", *kind.fields} | (
        {"metadata.namespace"} if kind.namespaced else set()
    )
    tests = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", part)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        field, operator, value = match.groups()
        if field not in allowed:
            raise bad_request(f"field label not supported: {field}")
        tests.append((field, operator != "!=", value))
    return lambda found: all((_value(found, f) == v) == same for f, same, v in tests)


def _value(found: Any, field: str) -> str:
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, bool):
        return str(found).lower()
    if found is None:
        return "false" if field in ("spec.unschedulable", "spec.hostNetwork") else ""
    return str(found)
