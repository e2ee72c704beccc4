"""Logs as one JSON object a line, and as text, with nothing secret in either."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sloguard.cli.logs import secrets_of
from sloguard.settings import load_settings
from sloguard.telemetry.logs import Cleaner, JsonLines, TextLines, readable

SECRET = "slg_0123456789ab_" + "s" * 43


@pytest.fixture
def logger() -> Iterator[Callable[[logging.Formatter], tuple[logging.Logger, io.StringIO]]]:
    log = logging.Logger("sloguard.test")

    def make(formatter: logging.Formatter) -> tuple[logging.Logger, io.StringIO]:
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(formatter)
        log.addHandler(handler)
        return log, out

    yield make
    log.handlers.clear()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_object_a_line_with_what_is_known(logger: Any) -> None:
    facts = {"request_id": "abc", "trace_id": ""}
    log, out = logger(JsonLines("worker", facts=[lambda: facts], always={"run": "r1"}))
    log.info("job %s:\n%s", "x", 'quo"te', extra={"status": 200, "odd": object})
    [told] = lines(out)
    assert told["message"] == 'job x:\nquo"te'
    assert (told["level"], told["logger"], told["process"]) == ("info", "sloguard.test", "worker")
    assert (told["run"], told["request_id"], told["status"]) == ("r1", "abc", 200)
    assert told["time"].endswith("Z")
    assert "object" in told["odd"]
    assert "trace_id" not in told, "what is not known is not told"


def test_what_a_record_brings_counts_more_than_the_process(logger: Any) -> None:
    log, out = logger(JsonLines("dispatcher", always={"run": "always"}))
    log.info("x", extra={"run": "its own"})
    assert lines(out)[0]["run"] == "its own"


def test_an_error_comes_with_its_traceback_in_the_same_line(logger: Any) -> None:
    log, out = logger(JsonLines("web", clean=Cleaner(["hunter22"])))
    try:
        raise ValueError("the password is hunter22")
    except ValueError:
        log.exception("this is a bug")
    [told] = lines(out)
    assert told["error"]["type"] == "ValueError"
    assert "Traceback" in told["error"]["traceback"]
    assert "hunter22" not in out.getvalue()


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("postgresql://me:pa55word@db/store is away", "pa55word"),
        ("sent Authorization: Bearer abcdefgh12345", "abcdefgh12345"),
        (f"token {SECRET} is unknown", "s" * 43),
        ("it said s3cr3t-known", "s3cr3t-known"),
    ],
)
@pytest.mark.parametrize("style", ["json", "text"])
def test_no_credentials(logger: Any, style: str, text: str, gone: str) -> None:
    clean = Cleaner(["s3cr3t-known"])
    log, out = logger(JsonLines("web", clean=clean) if style == "json" else TextLines(clean))
    log.warning("%s", text, extra={"more": [text, {"deep": text}]})
    assert gone not in out.getvalue()
    assert "*****" in out.getvalue()


def test_no_message_begins_a_line_that_looks_like_a_record(logger: Any) -> None:
    log, out = logger(TextLines())
    log.info("a path\n2026-01-01 00:00:00,000 ERROR forged\x1b[2J\r\nmore")
    shown = out.getvalue().splitlines()
    assert all(line.startswith("    ") for line in shown[1:])
    assert "\x1b" not in out.getvalue()


def test_bytes_that_are_no_text_break_nothing(logger: Any) -> None:
    log, out = logger(JsonLines("web"))
    log.info("the file %s", b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert "caf" in lines(out)[0]["message"]


def test_many_threads_never_mix_their_lines(logger: Any) -> None:
    log, out = logger(JsonLines("web"))
    threads = [
        threading.Thread(target=lambda: [log.info("x" * 500) for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(out)) == 200


def test_the_secrets_of_the_settings_are_known_and_the_rest_of_a_url_stays() -> None:
    settings = load_settings(
        flags={
            "store.url": "postgresql://me:p%40ss-word@db/store",
            "prometheus.url": "http://localhost:9090",
            "prometheus.token": "tok-en-tok-en",
            "prometheus.headers": {"X-Scope-OrgID": "tenant-secret"},
        }
    )
    found = set(secrets_of(settings))
    assert {"p@ss-word", "p%40ss-word", "tok-en-tok-en", "tenant-secret"} <= found
    clean = Cleaner(sorted(found))
    assert clean("postgresql db store localhost:9090") == "postgresql db store localhost:9090"


def test_what_a_worker_said_is_shown_to_people_without_the_json() -> None:
    told = JsonLines("worker").format(
        logging.LogRecord("x", logging.ERROR, "", 0, "it failed", (), None)
    )
    said = f'half a line"}}\n{told}\nplain text\n'
    assert readable(said) == 'half a line"}\nerror: it failed\nplain text'
