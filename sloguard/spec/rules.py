"""What binds several keys of an SLO or a guard: its queries, the bounds of pairs, the error budget."""

# ruff: noqa: ARG002 - one signature for all rules

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sloguard.core.objective import Objective, pair_problem
from sloguard.documents.tree import Node, join
from sloguard.spec.errors import Reader
from sloguard.spec.shapes import Json


class OneQuery:
    """Exactly ``query``, or ``total`` with ``bad``, or ``total`` with ``good``."""

    expected = "'query', or 'total' with 'bad', or 'total' with 'good'"

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        given = [key for key in ("query", "total", "bad", "good") if node.get(key) is not None]
        if given in (["query"], ["total", "bad"], ["total", "good"]):
            return
        if not given:
            reader.problem(node, path, "there is no query", self.expected)
        elif given == ["total"]:
            reader.problem(node, path, "'total' needs a partner", "'bad' or 'good' beside it")
        elif "total" not in given and "query" not in given:
            message = f"'{given[0]}' needs 'total' beside it"
            reader.problem(node.place(given[0]), path, message, self.expected)
        else:
            message = f"{' and '.join(given)} do not go together"
            reader.problem(node.place(given[-1]), path, message, self.expected)

    def schema(self) -> Json:
        def only(*keys: str) -> Json:
            rest = [k for k in ("query", "total", "bad", "good") if k not in keys]
            return {"required": list(keys), "properties": dict.fromkeys(rest, False)}

        return {"oneOf": [only("query"), only("total", "bad"), only("total", "good")]}


class UpperBounds:
    """A pair's value is its share of bad events: its objectives are upper bounds, in every phase."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        if node.get("total") is None or node.get("query") is not None:
            return
        places: list[tuple[Node, str, Objective | None]] = [(node, path, values.get("objective"))]
        for phase in ("before", "during", "after"):
            child = node.get(phase)
            if child is not None:
                override = (values.get(phase) or {}).get("objective")
                places.append((child, join(path, phase), override))
        for holder, where, objective in places:
            problem = pair_problem(objective) if objective is not None else None
            if problem:
                reader.problem(holder.get("objective") or holder, join(where, "objective"), problem)

    def schema(self) -> Json:
        lower = {"type": "string", "pattern": r"^\s*>"}
        bounded = {"not": {"anyOf": [lower, {"type": "array", "contains": lower}]}}
        objective = {"properties": {"objective": bounded}}
        phases = dict.fromkeys(("before", "during", "after"), objective)
        return {
            "if": {"required": ["total"]},
            "then": {"properties": {"objective": bounded, **phases}},
        }


class NoBaseline:
    """A guard rail is watched live, where no baseline is settled: a bound that names it would never trip."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        objective = values.get("objective")
        if objective is not None and objective.names_baseline:
            at = node.get("objective") or node
            message = f"'{objective.text}': a guard rail knows no baseline and would never trip"
            reader.problem(
                at, join(path, "objective"), message, "an absolute bound, such as '< 50%'"
            )

    def schema(self) -> Json:
        named = {"type": "string", "pattern": "baseline"}
        either = {"anyOf": [named, {"type": "array", "contains": named}]}
        return {"properties": {"objective": {"not": either}}}


class Together:
    """``target`` and ``period`` make an error budget only together."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        for key, partner in (("target", "period"), ("period", "target")):
            if node.get(key) is not None and node.get(partner) is None:
                message = f"'{key}' without '{partner}': no error budget can be told"
                reader.warn(node.place(key), path, message, hint=f"add '{partner}'")
        if node.get("budget_left") is not None and node.get("target") is None:
            message = "'budget_left' without 'target' and 'period': no error budget can be told"
            reader.warn(node.place("budget_left"), path, message, hint="add both")
        self._query(node, values, path, reader)

    def _query(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        """The lint is of the queries that are judged; of this one nobody else would tell."""
        from sloguard.promql.errors import PromqlError
        from sloguard.promql.inspection import inspect

        query = values.get("budget_left")
        if not isinstance(query, str):
            return
        try:
            inspect(query)
        except PromqlError as error:
            say = reader.warn if error.unsupported else reader.problem
            say(node.place("budget_left"), join(path, "budget_left"), str(error))

    def schema(self) -> Json:
        return {}
