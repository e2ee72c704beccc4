"""HTTP activities against a real server: forms, answers, deadlines, and being stopped."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.providers.calls import check, failed_action
from sloguard.providers.http import MOST_BODY, shown
from tests.support.calling import carry_out, eventually, stopped_when
from tests.support.patience import SOON
from tests.support.web import Web, serve


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serve() as running:
        yield running


@contextlib.contextmanager
def silent(backlog: int = 5) -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(backlog)
        yield listening.getsockname()[1]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def http(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "http", "url": url, **more}


def test_the_output_is_status_headers_and_body(web: Web) -> None:
    output = carry_out(http(web.url)).output
    assert (output["status"], output["body"]) == (200, "ok")
    assert output["headers"]["Content-Length"] == "2"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/json", {"n": 1, "l": ["é"]}),
        ("/jsonutf", {"n": 1}),
        ("/brokenjson", "{nope"),
        ("/latin", "é"),
        ("/plain", "é"),
        ("/redirect", {"n": 1, "l": ["é"]}),
        ("/chunked", "abc0123456789abcdef"),
        ("/close", "until the end"),
    ],
)
def test_bodies(web: Web, path: str, body: Any) -> None:
    assert carry_out(http(f"{web.url}{path}")).output["body"] == body


def test_arguments_are_the_query_of_a_get(web: Web) -> None:
    carry_out(http(f"{web.url}/ok?a=1", arguments={"b": [2, 3]}))
    assert web.seen[-1].query == {"a": ["1"], "b": ["2", "3"]}


def test_arguments_are_the_form_or_the_json_of_everything_else(web: Web) -> None:
    carry_out(http(f"{web.url}/ok", method="post", arguments={"a": "b c"}))
    assert (web.seen[-1].method, web.seen[-1].body) == ("POST", b"a=b+c")
    carry_out(
        http(
            f"{web.url}/ok",
            method="PUT",
            arguments={"a": [1]},
            headers={"Content-Type": "application/json", "X-N": 5, "X-Not": None},
        )
    )
    last = web.seen[-1]
    assert (last.method, json.loads(last.body), last.headers["X-N"]) == ("PUT", {"a": [1]}, "5")
    assert "X-Not" not in last.headers
    carry_out(http(f"{web.url}/ok", method="PATCH", arguments="raw"))
    assert web.seen[-1].body == b"raw"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"url": ""}, "url: expected an address"),
        ({"url": "shop.local/x"}, "url: expected an address"),
        ({"url": "ftp://user:secret@h/x"}, "found ftp://h/x"),
        ({"url": "http://h:port/"}, "url: expected an address"),
        ({"timeout": [1]}, "timeout: expected seconds, or two of them"),
        ({"timeout": "x"}, "timeout: 'x' is not a duration"),
        ({"timeout": 0}, "timeout: must be above 0"),
        ({"method": "GET it"}, "method: 'GET it' is not an HTTP method"),
        ({"headers": ["a"]}, "headers: expected a mapping"),
        ({"max_retries": -1}, "max_retries: expected a whole number"),
        ({"verify_tls": 1}, "verify_tls: expected true"),
    ],
)
def test_what_cannot_be_sent(more: dict[str, Any], expected: str) -> None:
    provider = {**http("http://127.0.0.1:1/"), **more}
    result = carry_out(provider)
    assert expected in str(result.error)
    assert "secret" not in str(result.error)
    assert check(provider) == result.error


def test_a_refused_connection_is_unreachable_and_names_the_address_alone() -> None:
    port = closed_port()
    result = carry_out(http(f"http://user:secret@127.0.0.1:{port}/x?token=secret"))
    assert result.error == f"no answer from http://127.0.0.1:{port}/x: Connection refused"
    assert (result.unreachable, result.aborted) == (True, False)


def test_a_lost_connection_is_unreachable(web: Web) -> None:
    result = carry_out(http(f"{web.url}/hangup"))
    assert result.unreachable
    assert "no answer from" in str(result.error)


def test_a_host_that_is_no_name_proves_nothing() -> None:
    result = carry_out(http("http://no..name/"))
    assert result.error
    assert not result.unreachable


@pytest.mark.parametrize("timeout", [0.3, "300ms", [5, 0.3]])
def test_a_silent_server_times_out(timeout: Any) -> None:
    with silent() as port:
        began = time.monotonic()
        result = carry_out(http(f"http://127.0.0.1:{port}/", timeout=timeout))
        assert result.unreachable
        assert "timed out after 0.3s" in str(result.error)
        assert time.monotonic() - began < SOON


def test_the_deadline_is_of_the_whole_call_even_if_bytes_keep_dripping(web: Web) -> None:
    web.gate.clear()
    began = time.monotonic()
    result = carry_out(http(f"{web.url}/drip", timeout=0.5))
    assert time.monotonic() - began < SOON
    assert result.error == f"{web.url}/drip timed out after 0.5s"
    assert result.unreachable


def test_stop_closes_the_connection(web: Web) -> None:
    web.gate.clear()
    count = len(web.seen)
    result = stopped_when(http(f"{web.url}/gate"), lambda: len(web.seen) > count)
    assert (result.aborted, result.unreachable) == (True, False)
    eventually(lambda: not [t for t in threading.enumerate() if "/gate" in t.name])
    web.gate.set()


def test_stop_ends_a_stalled_tls_handshake() -> None:
    with silent() as port:
        name = f"https://127.0.0.1:{port}/x"
        result = stopped_when(
            http(name), lambda: [t for t in threading.enumerate() if name in t.name]
        )
        assert result.aborted


def test_retries_are_bounded_and_counted_into_the_deadline() -> None:
    began = time.monotonic()
    result = carry_out(http(f"http://127.0.0.1:{closed_port()}/", max_retries=2, timeout=30))
    assert result.unreachable
    assert time.monotonic() - began < SOON


def test_a_big_body_is_cut(web: Web) -> None:
    body = carry_out(http(f"{web.url}/big")).output["body"]
    assert body.endswith(f"[… the rest is left out: longer than {MOST_BODY} bytes]")
    assert MOST_BODY / 8 < len(body) < MOST_BODY + 100


def test_a_policy_can_forbid_an_address_and_where_it_redirects_to(web: Web) -> None:
    def allow(url: str) -> str | None:
        return "internal address" if "/json" in url else None

    assert carry_out(http(f"{web.url}/ok"), allow_url=allow).error is None
    count = len(web.seen)
    for path in ("/json", "/redirect"):
        result = carry_out(http(f"{web.url}{path}"), allow_url=allow)
        assert result.error == "this URL may not be called: internal address"
        assert not result.unreachable
    assert [s.path for s in web.seen[count:]] == ["/redirect"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/status/200", None),
        ("/status/302", None),
        ("/status/404", "HTTP 404 Not Found: it is"),
        ("/status/500", "HTTP 500 Internal Server Error: it is"),
        ("/missing", "HTTP 404 Not Found"),
        ("/status/599", "HTTP 599: it is"),
    ],
)
def test_an_error_status_fails_an_action(web: Web, path: str, reason: str | None) -> None:
    provider = http(f"{web.url}{path}")
    result = carry_out(provider)
    assert result.error is None
    assert failed_action(provider, result.output) == reason


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(made), "-out", str(made.with_suffix(".crt"))],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_text(made.read_text() + made.with_suffix(".crt").read_text())
    return made


# Warnings are errors here; elsewhere urllib3 is told once to keep this one to itself.
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_tls_is_verified_unless_told_otherwise(certificate: Path) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(context) as secure:
        refused = carry_out(http(secure.url))
        assert "certificate verify failed" in str(refused.error)
        assert not refused.unreachable
        assert carry_out(http(secure.url, verify_tls=False)).output["body"] == "ok"
        trusted = carry_out(http(secure.url, verify_tls=str(certificate)))
        assert trusted.output["body"] == "ok"


def test_same_answer_as_the_chaos_toolkit(web: Web) -> None:
    chaoslib = pytest.importorskip("chaoslib.provider.http")
    for path in ("/ok", "/json", "/redirect", "/status/500", "/chunked", "/latin", "/nobody"):
        for method in ("GET", "POST"):
            provider = http(f"{web.url}{path}", method=method, arguments={"a": "1"})
            theirs = chaoslib.run_http_activity({"name": "x", "provider": provider}, {}, {})
            theirs["headers"].pop("Date", None)
            ours = carry_out(provider).output
            ours["headers"].pop("Date", None)
            assert ours == theirs, path


def test_addresses_are_shown_without_what_may_be_secret() -> None:
    assert shown("https://u:p@h:1/a?b=c#d") == "https://h:1/a"
    assert shown("http://[::1") == "[not a URL]"


def test_nothing_is_left_open(web: Web) -> None:
    import os

    carry_out(http(web.url))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        carry_out(http(web.url))
    # The server's own ends close a moment later.
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)
