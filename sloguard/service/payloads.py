"""Payloads of webhooks: a quick look at the envelope while somebody waits, and all of it later."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from sloguard.core.deliveries import NotTaken, Telling, told_by

_DEEP = "the JSON is nested too deep"


class _Envelope(msgspec.Struct):
    """Enough to know that it is an Alertmanager's; what is in the alerts is not looked at."""

    version: Literal["4"]
    alerts: list[msgspec.Raw]


_envelope = msgspec.json.Decoder(_Envelope).decode
_anything = msgspec.json.Decoder().decode


def look(body: bytes) -> int:
    """How many alerts a payload says to hold. Raises NotTaken for what can never be taken."""
    try:
        return len(_envelope(body).alerts)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        # It says why in its own words, which know nothing of Alertmanager.
        told = telling(body, 0.0)
        return len(told.episodes) + len(told.problems)


def telling(body: bytes, received_at: float) -> Telling:
    """What a payload says. Raises NotTaken."""
    return told_by(_decoded(body), received_at)


def _decoded(body: bytes) -> Any:
    try:
        return _anything(body)
    except RecursionError:
        raise NotTaken(_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotTaken(f"it is not JSON: {error}") from None
