"""``sloguard alerts``: what Alertmanager has sent, and what could not be taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sloguard.adapters.store import Store
from sloguard.cli.alerts import command
from sloguard.ports.alert_inbox import Received
from sloguard.service.alerting import AlertDesk
from tests.support.alertmanager import alert, payload

NOW = 1_767_272_400.0


def run(store: Path, *words: str) -> Result:
    return CliRunner().invoke(command, [*words, "--store", str(store)])


def shown(store: Path, *words: str) -> list[dict[str, Any]]:
    made = run(store, *words, "-o", "json")
    assert made.exit_code == 0, made.output
    found: list[dict[str, Any]] = json.loads(made.stdout)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    with Store(str(path)) as opened:
        alerts = [
            alert(NOW - 90, NOW - 30, service="cart"),
            alert(NOW - 60, service="checkout\x1b[31m", severity="page"),
        ]
        for body, reason in ((payload(alerts), ""), (b"\x1b[2Jno JSON", "it is not JSON")):
            kept = Received(
                received_at=NOW,
                sender="token:am",
                address="10.0.0.9",
                body=body,
                size=len(body),
                alerts=2,
                reason=reason,
            )
            opened.keep_payload(kept)
        AlertDesk(opened, now=lambda: NOW).turn()
    return path


def test_alone_it_lists_what_was_sent(store: Path) -> None:
    made = run(store)
    assert made.exit_code == 0, made.output
    assert 'ErrorBudgetBurn service="cart"' in made.stdout
    assert "\x1b" not in made.stdout
    assert "1 payloads could not be taken: 'sloguard alerts refused'" in made.stderr
    # Nobody has heard of it since: it may be over.
    assert [row["state"] for row in shown(store)] == ["stale", "resolved"]


def test_it_can_be_narrowed(store: Path) -> None:
    assert [row["state"] for row in shown(store, "--resolved")] == ["resolved"]
    assert len(shown(store, "list", "--label", "severity=page")) == 1
    assert len(shown(store, "list", "--label", "severity!=page", "--name", "ErrorBudgetBurn")) == 1
    assert shown(store, "--since", "2026-01-01T13:00:00Z") == []
    [second] = shown(store, "--limit", "1", "--before", str(shown(store)[0]["number"]))
    assert second["labels"] == {"service": "cart"}
    assert "no such alerts" in run(store, "--name", "Other").stdout


def test_mistakes_are_a_line(store: Path) -> None:
    for words in (["--label", "x"], ["--label", "a=~b"], ["--run", "nobody"], ["--since", "then"]):
        made = run(store, *words)
        assert made.exit_code in (1, 2), words
        assert "Traceback" not in made.output
        assert made.stderr.startswith("sloguard: ")


def test_refused_ones_are_shown_with_the_reason(store: Path) -> None:
    made = run(store, "refused")
    assert "it is not JSON" in made.stdout
    assert "11 bytes from token:am at 10.0.0.9" in made.stdout
    assert "\x1b" not in made.stdout
    [row] = shown(store, "refused")
    assert row["body"] == "\x1b[2Jno JSON"
    assert "nothing was refused" in run(store.with_name("other.db"), "refused").stdout
