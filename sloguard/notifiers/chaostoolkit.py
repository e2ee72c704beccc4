"""The Chaos Toolkit's own notifications, from the ``notifications`` of its settings.yaml.

Source: chaoslib's documented settings and events. An endpoint gets ``{"name", "payload", "phase", "ts"}``,
where ``payload`` is the experiment when a run begins and the journal when it has ended; a plugin's function
is called with the channel's settings and the same. As there, a run that deviated is told as
run-completed or run-failed and as run-deviated.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sloguard.notifiers.base import awaited
from sloguard.notifiers.calling import Access, bounded, call
from sloguard.ports.outbox import Delivery, DeliveryError, Message

log = logging.getLogger(__name__)

#: What the Chaos Toolkit waits for an endpoint, seconds.
_DEADLINE = 7.0
_PLUGIN_SECONDS = 60.0
_PATIENCE = 5

#: The payload of an event of a run (the event's name, the run): None as long as the store has none.
Payloads = Callable[[str, str], Any]


def read_notifications(file: Path) -> tuple[Mapping[str, Any], ...]:
    """The channels of a settings file; none where there is no file. What cannot be read is logged: as in the
    Chaos Toolkit, no run fails for it."""
    if not file.is_file():
        return ()
    import yaml

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        log.warning(
            "the Chaos Toolkit's settings %s cannot be read: %s", file, type(error).__name__
        )
        return ()
    channels = found.get("notifications") if isinstance(found, Mapping) else None
    if not isinstance(channels, Sequence) or isinstance(channels, str):
        return ()
    return tuple(channel for channel in channels if isinstance(channel, Mapping))


def events_of(channel: Mapping[str, Any]) -> frozenset[str] | None:
    """Those that it asks for; None: all."""
    wanted = channel.get("events")
    if not isinstance(wanted, Sequence) or isinstance(wanted, str) or not wanted:
        return None
    return frozenset(map(str, wanted))


class ToolkitChannel:
    """One of them. ``number``: its place in the list, from 1."""

    def __init__(
        self,
        number: int,
        channel: Mapping[str, Any],
        payloads: Payloads,
        *,
        patience: float = 5.0,
    ) -> None:
        self.name = f"chaostoolkit:{number}"
        self._channel, self._payloads, self._patience = channel, payloads, patience

    def deliver(self, message: Message, delivery: Delivery) -> Mapping[str, Any]:  # noqa: ARG002 - the port's signature
        """Call the endpoint or the plugin."""
        told = {
            "name": message.kind,
            "payload": self._payload(message),
            "phase": "run",
            "ts": message.payload.get("ts"),
        }
        if self._channel.get("type") == "http":
            self._call(told)
        elif self._channel.get("type") == "plugin":
            bounded(lambda: self._plugin(told), _PLUGIN_SECONDS, self._module)
        else:
            raise DeliveryError(
                "the type of this notification is neither http nor plugin", permanent=True
            )
        return {}

    def _payload(self, message: Message) -> Any:
        run = str(message.payload.get("run", ""))
        found = awaited(lambda: self._payloads(message.kind, run), self._patience)
        if found is None and message.attempts < _PATIENCE:
            raise DeliveryError("the run is not in the store yet", retry_after=1.0)
        return found

    def _call(self, told: Mapping[str, Any]) -> None:
        url = str(self._channel.get("url") or "")
        if not url:
            raise DeliveryError("the notification has no url", permanent=True)
        verify, given = self._channel.get("verify_tls", True), self._channel.get("headers")
        headers = {str(k): str(v) for k, v in (given or {}).items()}
        forwards = self._channel.get("forward_event_payload", True)
        body = json.dumps(told, default=str).encode() if forwards else None
        if forwards:
            headers.setdefault("Content-Type", "application/json")
        call(
            url,
            body,
            Access(verify=bool(verify), deadline=_DEADLINE),
            method="POST" if forwards else "GET",
            headers=headers,
            secrets=tuple(headers.values()),
        )

    @property
    def _module(self) -> str:
        return str(self._channel.get("module") or "")

    def _plugin(self, told: Mapping[str, Any]) -> None:
        name = str(self._channel.get("func") or "notify")
        try:
            found = getattr(importlib.import_module(self._module), name)
        except Exception as error:  # noqa: BLE001 - whatever a module does when it is imported
            told_as = f"the plugin {self._module}.{name} cannot be had: {type(error).__name__}"
            raise DeliveryError(told_as, permanent=True) from None
        try:
            found(dict(self._channel), dict(told))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises
            # Its text may hold anything, and what it has done is done.
            told_as = f"the plugin {self._module}.{name} failed: {type(error).__name__}"
            raise DeliveryError(told_as, permanent=True) from None


def numbered(
    channels: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, frozenset[str] | None]]:
    """Names in the outbox with the events that each asks for."""
    for number, channel in enumerate(channels, 1):
        yield f"chaostoolkit:{number}", events_of(channel)
