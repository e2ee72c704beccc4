"""Payloads as a real Alertmanager sent them, and such as none would send."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sloguard.core.deliveries import fingerprint
from sloguard.core.text import iso_time

CAPTURED = Path(__file__).parents[1] / "fixtures" / "alertmanager"
NAMES = tuple(sorted(path.stem for path in CAPTURED.glob("*.json")))
#: Shortly after the captured requests.
CAPTURED_AT = 1795219600.0
YEAR_ONE = "0001-01-01T00:00:00Z"


def captured(name: str) -> bytes:
    """The body of a captured request."""
    found = json.loads((CAPTURED / f"{name}.json").read_text())
    return json.dumps(found["body"]).encode()


def alert(starts_at: float, ends_at: float | None = None, **labels: str) -> dict[str, Any]:
    """One alert of a payload; resolved where it has an end."""
    named = {"alertname": "ErrorBudgetBurn", **labels}
    return {
        "status": "firing" if ends_at is None else "resolved",
        "labels": named,
        "annotations": {"summary": "it burns"},
        "startsAt": iso_time(starts_at),
        "endsAt": YEAR_ONE if ends_at is None else iso_time(ends_at),
        "generatorURL": "http://prometheus/graph",
        "fingerprint": fingerprint(named),
    }


def payload(alerts: Iterable[Mapping[str, Any]], **more: Any) -> bytes:
    """A payload of these alerts."""
    listed = list(alerts)
    firing = any(one.get("status") == "firing" for one in listed)
    body = {
        "receiver": "sloguard",
        "status": "firing" if firing else "resolved",
        "alerts": listed,
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        **more,
    }
    return json.dumps(body).encode()
