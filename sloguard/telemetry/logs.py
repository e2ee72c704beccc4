"""Logs of the service's processes on stderr: lines for people, or one JSON object a line.

An object has ``time`` (UTC, milliseconds), ``level``, ``logger``, ``message``, ``process`` (web, dispatcher,
worker, recovery) and ``pid``; where they are known ``run``, ``request_id``, ``trace_id`` and what else the
record brings; with an exception ``error`` (``type``, ``message``, ``traceback``).
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

import msgspec

from sloguard.core.masking import MASK, Masker
from sloguard.core.visible import visible

#: What is known where a record is made, such as the request in hand.
Facts = Callable[[], Mapping[str, object]]

_TEXT = "%(asctime)s %(levelname)s %(message)s"
#: What every record has; everything else was given with ``extra``.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: Credentials by their form, whoever let them get into a message.
_FORMS = (
    (re.compile(r"(\w://[^/\s:@]*):[^/\s@]+@"), rf"\1:{MASK}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(slg_[0-9a-f]{12}_)[\w-]+", re.ASCII), rf"\1{MASK}"),
)


class Cleaner:
    """Takes known secrets and what looks like credentials out of texts."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._masker = Masker(secrets)

    def __call__(self, text: str) -> str:
        """The text without them."""
        text = self._masker.text(text)
        for form, shown in _FORMS:
            text = form.sub(shown, text)
        return text


class TextLines(logging.Formatter):
    """For people: a line, and below it the traceback of an error. No message begins a line of its own."""

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        super().__init__(_TEXT)
        self._clean = clean

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Further lines of a message are moved in, so that none looks like a record."""
        record.message = "\n    ".join(map(visible, record.message.splitlines()))
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        return self._clean(super().format(record))


class JsonLines(logging.Formatter):
    """For machines: one object a line, whatever the message holds."""

    def __init__(
        self,
        process: str,
        *,
        facts: Sequence[Facts] = (),
        clean: Callable[[str], str] = str,
        always: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self._process, self._facts, self._clean = process, tuple(facts), clean
        self._always = dict(always or {})

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        made: dict[str, object] = {
            "time": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": self._process,
            "pid": record.process,
            **self._always,
        }
        for facts in self._facts:
            made.update({name: value for name, value in facts().items() if value})
        given = vars(record)
        made.update({name: given[name] for name in given.keys() - _USUAL})
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            made["error"] = {
                "type": type(error).__qualname__,
                "message": str(error),
                "traceback": self.formatException(record.exc_info),
            }
        return msgspec.json.encode(self._cleaned(made), enc_hook=str).decode()

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            # A file's name may hold bytes that are no text.
            return self._clean(value.encode("utf-8", "backslashreplace").decode())
        if isinstance(value, dict):
            return {str(name): self._cleaned(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(one) for one in value]
        return value


def set_up(
    style: str,
    process: str,
    *,
    secrets: Sequence[str] = (),
    facts: Sequence[Facts] = (),
    always: Mapping[str, object] | None = None,
    stream: TextIO | None = None,
) -> None:
    """All logs of this process to stderr from now on; what ends a thread or the process is logged too.

    ``style``: text or json. ``secrets``: values that must not be shown. ``always``: fields of every record.
    """
    clean = Cleaner(secrets)
    made: logging.Formatter = TextLines(clean)
    if style == "json":
        made = JsonLines(process, facts=facts, clean=clean, always=always)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(made)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # They tell much at this level that is of no use here.
    for name in ("alembic", "opentelemetry", "urllib3", "kubernetes"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    if style == "json":
        sys.excepthook = _ended_by
        threading.excepthook = _thread_ended_by


def _ended_by(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("sloguard").critical("this is a bug", exc_info=(kind, error, trace))


def _thread_ended_by(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is None:
        return
    told = (given.exc_type, given.exc_value, given.exc_traceback)
    name = "a thread" if given.thread is None else f"the thread {given.thread.name}"
    logging.getLogger("sloguard").error("%s has ended by an error", name, exc_info=told)


def readable(text: str) -> str:
    """What a process has said, for people: of JSON lines the message and the error."""
    return "\n".join(filter(None, map(_readable, text.splitlines())))


def _readable(line: str) -> str:
    if not line.startswith('{"time"'):
        return line
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    error = found.get("error") or {}
    told = f": {error.get('type')}: {error.get('message')}" if error else ""
    return f"{found.get('level', '')}: {found.get('message', '')}{told}"
