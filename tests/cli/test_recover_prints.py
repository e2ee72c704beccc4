"""What a rollback prints while ``sloguard recover`` runs it: no result, and no secret in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sloguard.cli.recover import _Known
from sloguard.core.events import Event, Note


def test_prints_go_to_stderr_without_secrets_and_results_to_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load(_source: object, _variables: Mapping[str, Any]) -> Any:
        return SimpleNamespace(secrets={"shop": {"password": "hunter2secret"}})

    def recovering() -> Iterator[Event]:
        known({}, {})
        print("mended with hunter2secret")
        yield Note(1.0, "info", "undone")

    known = _Known(cast(Any, load))
    for event in known.quietly(recovering()):
        print(type(event).__name__)
    said = capsys.readouterr()
    assert said.out == "Note\n"
    assert "mended with" in said.err
    assert "hunter2secret" not in said.err
