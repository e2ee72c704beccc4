"""What reading a file collects: problems, warnings, and the variables that its texts may name."""

from __future__ import annotations

from collections.abc import Iterable

from sloguard.documents.problems import DocumentError, Problem, did_you_mean
from sloguard.documents.tree import Node, implant
from sloguard.spec.substitution import Scope


class SpecError(DocumentError):
    """Everything that is wrong with a file, at once. ``problems`` tell the places."""


class Misfit(ValueError):
    """A value that does not fit, with a hint at what may have been meant."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Failed:
    """What a shape gives where it reported a problem: no value."""


FAILED = Failed()


class Reader:
    """One file being read. ``deferred``: variables that have a value only once a run has begun."""

    def __init__(self, file: str, scope: Scope, deferred: Iterable[str] = ()) -> None:
        self.file = file
        self.scope = scope
        self.deferred = frozenset(deferred)
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.skipped = 0

    @property
    def mark(self) -> tuple[int, int]:
        """Changes whenever something could not be read: compare it before and after."""
        return len(self.problems), self.skipped

    def problem(
        self,
        at: Node | tuple[int, int],
        path: str,
        message: str,
        expected: str = "",
        hint: str = "",
    ) -> Failed:
        """Report; gives FAILED, so that a shape can return it."""
        self.problems.append(self._entry(at, path, message, expected, hint))
        return FAILED

    def warn(
        self,
        at: Node | tuple[int, int],
        path: str,
        message: str,
        expected: str = "",
        hint: str = "",
    ) -> None:
        """Something worth knowing that stops nothing."""
        self.warnings.append(self._entry(at, path, message, expected, hint))

    def resolve(self, node: Node) -> Node:
        """A text with its known variables replaced; what they bring in bears the text's place."""
        if not isinstance(node.value, str) or "$" not in node.value:
            return node
        filled = self.scope.fill_text(node.value)
        if isinstance(filled, str):
            return Node(filled, node.line, node.column, node.written)
        return implant(filled, node)

    def no_value(self, node: Node, path: str, name: str) -> Failed:
        """A key of ours names a variable without a value."""
        if name in self.deferred:
            self.skipped += 1
            message = f"not checked: ${{{name}}} comes from a probe, which only a run carries out"
            self.warn(node, path, message)
            return FAILED
        return self.problem(
            node,
            path,
            f"${{{name}}} has no value",
            "a name of 'configuration' or 'secrets'",
            did_you_mean(name, self.scope.names),
        )

    def _entry(
        self, at: Node | tuple[int, int], path: str, message: str, expected: str, hint: str
    ) -> Problem:
        line, column = (at.line, at.column) if isinstance(at, Node) else at
        return Problem(message, path, self.file, line, column, expected, hint)
