"""What YAML's own errors mean to somebody who wrote an experiment."""

from __future__ import annotations

import re

import yaml

from sloguard.documents.problems import Problem

_COMPARISON = re.compile(r"(?:^|[:\-,\[{?]\s+)>=?\s*[-+\w.]")
_VARIABLE = re.compile(r"[\s:,\[{]\$\{")
_COLON = re.compile(r":\s.*:(\s|$)")


def explain(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    """A parser's error as a problem, with the way out where the usual reason can be told."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = error.problem or "it cannot be read"
    context_line = error.context_mark.line + 1 if error.context_mark else line
    message = f"not valid YAML: {problem}"
    if error.context and context_line != line:
        message += f" ({error.context} from line {context_line})"
    elif error.context:
        message += f" ({error.context})"
    rows = text.splitlines()
    hint = _hint(problem, rows, line, column, context_line)
    return Problem(message, "", file, line, column, hint=hint)


def _hint(problem: str, rows: list[str], line: int, column: int, context_line: int) -> str:
    row = rows[line - 1] if line <= len(rows) else ""
    opened = rows[context_line - 1] if context_line <= len(rows) else ""
    indent = row[: len(row) - len(row.lstrip())]
    char = row[column - 1 : column]
    if char == "\t" or "\t" in indent:
        return "indent with spaces: YAML allows no tab there"
    if _COMPARISON.search(row) and ("comment or" in problem or "chomping" in problem):
        return "an objective that begins with '>' needs quotes: \">= 3\""
    if _VARIABLE.search(opened) or _VARIABLE.search(row):
        return 'quote variables inside {…} and […]: "${name}"'
    if "cannot start any token" in problem:
        return f"a text that begins with '{char}' needs quotes"
    if "mapping values" in problem and _COLON.search(row):
        return "a text that holds ': ' needs quotes, or stands alone below 'key: |'"
    if "mapping values" in problem or "expected key" in problem or "block end" in problem:
        return "look at the indentation of this line and the one before it"
    if "end of stream" in problem:
        return f"a quote that opens in line {context_line} is never closed"
    return ""
