"""Where the hypothesis backlog is."""

# ruff: noqa: RUF009 - setting makes a dataclasses.field, which is what may stand there

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sloguard.settings.fields import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogSettings:
    """The hypothesis backlog: what could go wrong, and what runs have said about it."""

    file: Path | None = setting(
        None,
        "The file with the hypotheses; pages, reports and 'sloguard backlog' show it.",
        "path",
        shown="backlog.yaml in a directory of serve.experiments, in ./experiments or in .",
    )
