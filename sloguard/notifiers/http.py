"""Any HTTP endpoint: JSON or a template's text, signed where there is a key.

The signature is HMAC-SHA256 of ``TIMESTAMP.BODY`` in hexadecimal digits: ``X-Sloguard-Signature: sha256=…``,
beside ``X-Sloguard-Timestamp`` (seconds since the epoch). ``X-Sloguard-Delivery`` is the same for every
attempt at one message, ``X-Sloguard-Event`` the event.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sloguard.notifiers.base import Notice, Notifier, awaited
from sloguard.notifiers.calling import Access, call
from sloguard.notifiers.secrets import Secret
from sloguard.ports.outbox import Delivery, DeliveryError, Message

#: A run's verdict, or None as long as the store has none.
Documents = Callable[[str], Mapping[str, Any] | None]
#: Attempts after which a message goes without the verdict that the store does not have.
_PATIENCE = 5


def signature(key: str, timestamp: str, body: bytes) -> str:
    """What a receiver computes too, and compares."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


class HttpCall(Notifier):
    """``template`` empty: the body is ``{"event", "notice", "document"}``, the last one the run's verdict as
    ``sloguard run --format json`` prints it, or null."""

    def __init__(
        self,
        name: str,
        url: Secret,
        access: Access,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        template: str = "",
        template_file: Path | None = None,
        content_type: str = "application/json",
        key: Secret | None = None,
        documents: Documents = lambda _run: None,
        now: Callable[[], float] = time.time,
        patience: float = 5.0,
    ) -> None:
        super().__init__(name)
        self._url, self._access, self._method = url, access, method.upper()
        self._headers, self._content_type = dict(headers or {}), content_type
        self._template, self._template_file = template, template_file
        self._key, self._documents, self._now = key or Secret("key"), documents, now
        self._patience = patience

    def send(self, notice: Notice, message: Message, delivery: Delivery) -> Mapping[str, Any]:  # noqa: ARG002 - one signature for all
        """Call it."""
        body, key = self._body(notice, message), self._key.read()
        headers = {
            "Content-Type": self._content_type,
            **self._headers,
            "X-Sloguard-Event": notice.event,
            "X-Sloguard-Delivery": hashlib.sha256(
                f"{message.channel}\0{message.key}".encode()
            ).hexdigest()[:32],
        }
        if key:
            timestamp = str(int(self._now()))
            headers["X-Sloguard-Timestamp"] = timestamp
            headers["X-Sloguard-Signature"] = signature(key, timestamp, body)
        secrets = (key, *self._headers.values())
        call(
            self._url.read(),
            body,
            self._access,
            method=self._method,
            headers=headers,
            secrets=secrets,
        )
        return {}

    def _body(self, notice: Notice, message: Message) -> bytes:
        document = None
        if notice.run and notice.outcome:
            document = awaited(lambda: self._documents(notice.run), self._patience)
            if document is None and message.attempts < _PATIENCE:
                missing = f"the verdict of run {notice.run} is not in the store yet"
                raise DeliveryError(missing, retry_after=1.0)
        told = {k: v for k, v in notice.payload.items() if k != "quiet"}
        if not self._template and self._template_file is None:
            whole = {"event": notice.event, "notice": told, "document": document}
            return json.dumps(whole, allow_nan=False).encode()
        return rendered(self._source(), {**told, "notice": told, "document": document}).encode()

    def _source(self) -> str:
        if self._template_file is None:
            return self._template
        try:
            return self._template_file.expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise DeliveryError(
                f"the template {self._template_file} cannot be read: {why}"
            ) from None


def rendered(source: str, variables: Mapping[str, Any]) -> str:
    """A template in Jinja2's sandbox; ``tojson`` writes a value as JSON. Raises DeliveryError."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(autoescape=False)
    # Jinja's own escapes for HTML: here JSON is JSON.
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    try:
        return environment.from_string(source).render(variables)
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
    ) as error:
        line = getattr(error, "lineno", None)
        place = f" (line {line})" if line else ""
        raise DeliveryError(
            f"the template cannot be filled{place}: {error}", permanent=True
        ) from None
