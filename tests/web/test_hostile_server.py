"""The real server against clients that mean harm: slow ones, huge ones, two requests in one."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.adapters.store import Store
from sloguard.ports.service import Scope
from tests.support.patience import PATIENCE, SOON
from tests.support.served import Served, serving

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A service that asks for tokens, and an admin's."""
    place = tmp_path_factory.mktemp("hostile")
    with Store(str(place / "runs.db")) as store:
        _, secret = store.create_token("root", [Scope.ADMIN])
    flags = ("--store", "runs.db", "--auth", "on", "--workers", "1")
    with serving(place, *flags) as running:
        running.wait_until_ready()
        yield running, secret


def talk(served: Served, raw: bytes, *, seconds: float = PATIENCE, finish: bool = False) -> bytes:
    """Send bytes as they are; everything that comes back until the server closes, or waits for more."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=seconds) as sock:
        try:
            sock.sendall(raw)
            if finish:
                sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        found = b""
        try:
            while piece := sock.recv(65536):
                found += piece
                # Nothing more comes after an answer, unless at once.
                sock.settimeout(0.5)
        except (TimeoutError, ConnectionResetError):
            pass
        return found


def statuses(answer: bytes) -> list[int]:
    return [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]


def shown(secret: str) -> bytes:
    return f"Authorization: Bearer {secret}\r\n".encode()


def still_lives(served: Served) -> None:
    assert served.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"X-A: b\r\n folded: c\r\nContent-Length: 5\r\n",
        b"X A: b\r\n",
        b"X-A: b\x00c\r\n",
        b"X-A: b\nContent-Length: 5\r\n",
    ],
)
def test_no_second_request_hides_in_a_first(guarded: tuple[Served, str], head: bytes) -> None:
    served, secret = guarded
    hidden = b"GET /api/v1/audit HTTP/1.1\r\nHost: localhost\r\n" + shown(secret) + b"\r\n"
    raw = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n0\r\n\r\n" + hidden
    answer = talk(served, raw)
    assert b'"entries"' not in answer, answer
    assert all(status >= 400 for status in statuses(answer)), answer
    still_lives(served)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET  /healthz  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health\x00z HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"G\x01T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"b" * 9000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        + b"".join(b"X-%d: b\r\n" % n for n in range(70))
        + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost evil\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\r\n" * 3000,
    ],
)
def test_what_is_no_request_is_refused(guarded: tuple[Served, str], raw: bytes) -> None:
    served, _ = guarded
    # What is not even a line would be waited for.
    answer = talk(served, raw, finish=b"\n" not in raw)
    assert 200 not in statuses(answer), answer
    assert b"Traceback" not in answer
    still_lives(served)


def test_a_body_is_cut_off_at_its_limit_however_it_comes(guarded: tuple[Served, str]) -> None:
    served, secret = guarded
    path = b"POST /api/v1/experiments/validate HTTP/1.1\r\nHost: localhost\r\n"
    head = path + shown(secret) + b"Content-Type: application/json\r\n"
    announced = talk(served, head + b"Content-Length: 99999999999\r\n\r\n" + b" " * 1000)
    assert statuses(announced) == [413]
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    streamed = talk(served, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40)
    assert statuses(streamed) == [413]
    still_lives(served)


def test_silent_and_slow_clients_hold_nobody_up(guarded: tuple[Served, str]) -> None:
    served, _ = guarded
    begun = (
        b"",
        b"G",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\na",
        # A whole request, and the beginning of another one on the connection that was kept.
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /",
    )
    slow = []
    try:
        for words in begun * 30:
            slow.append(socket.create_connection(("127.0.0.1", served.port)))
            slow[-1].sendall(words)
        started = time.monotonic()
        for _ in range(5):
            still_lives(served)
        assert time.monotonic() - started < SOON
        # Those who were slow, and not too slow, are answered all the same.
        for sock, rest in zip(slow, (b"GET", b"ET", b"b\r\n\r\n", b"bcdefghi", b"x"), strict=False):
            sock.settimeout(PATIENCE)
            if rest[:1] in b"GEx":
                rest += b" /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            for piece in (rest[:3], rest[3:]):
                sock.sendall(piece)
            assert sock.recv(9) == b"HTTP/1.1 "
    finally:
        for sock in slow:
            sock.close()


@pytest.mark.parametrize(
    "path",
    [
        b"//etc/passwd",
        b"///etc/passwd",
        b"/../../../etc/passwd",
        b"/static/../../../../etc/passwd",
        b"/static/x/..%2f..%2f..%2fetc%2fpasswd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/..%5c..%5cetc%5cpasswd",
        b"/api/v1/runs/..;/audit",
        b"/API/V1/audit",
        b"/api/v1//audit",
        b"/api/v1/./audit",
        b"/api/v1/audit/",
        b"/api/v1/audit%00",
        b"/api/v1/audit%2f",
        b"http://169.254.169.254/latest/meta-data",
        b"*",
    ],
)
def test_a_path_of_many_spellings_is_one_that_there_is_not(
    guarded: tuple[Served, str], path: bytes
) -> None:
    served, secret = guarded
    head = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    answer = talk(served, b"GET " + path + head + shown(secret) + b"\r\n")
    assert b"root:" not in answer
    assert b'"entries"' not in answer
    assert b"\r\nLocation:" not in answer
    assert [status // 100 for status in statuses(answer)] == [4], answer


def test_headers_of_answers_are_ours_alone(guarded: tuple[Served, str]) -> None:
    served, secret = guarded
    for path in (
        "/api/v1/runs/%0d%0aSet-Cookie:%20a=b",
        "/login?next=/%0d%0aSet-Cookie:%20a=b",
        "/api/v1/badge/%0d%0aX-Evil:%201.svg",
    ):
        raw = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n".encode()
        for more in (b"", shown(secret)):
            head = talk(served, raw + more + b"Connection: close\r\n\r\n").partition(b"\r\n\r\n")[0]
            assert b"\r\nSet-Cookie: a=b" not in head
            assert b"\r\nX-Evil" not in head
            assert len(statuses(head)) == 1
    raw = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\tSet-Cookie\r\nConnection: close\r\n\r\n"
    assert b"Set-Cookie" not in talk(served, raw)


def test_a_header_of_a_proxy_cannot_be_spelled_otherwise(tmp_path: Path) -> None:
    environ = {
        "SLOGUARD_SERVE_TRUSTED_PROXIES": "127.0.0.1",
        "SLOGUARD_SERVE_PROXY_USER_HEADER": "X-User",
        "SLOGUARD_SERVE_PROXY_SCOPES": "*=read,ada=admin",
    }
    flags = ("--store", "runs.db", "--workers", "1")
    with serving(tmp_path, *flags, environ=environ) as served:
        served.wait_until_ready()
        head = b"GET /api/v1/audit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        found = {
            spelled: statuses(talk(served, head + spelled + b"\r\n\r\n"))
            for spelled in (
                b"X-User: ada",
                b"X-User: bob",
                b"X_User: ada",
                b"X-User: bob\r\nX_User: ada",
                b"X-User: bob\r\nX-User: ada",
                b"X-User: ada\r\nX-User: bob",
            )
        }
    assert list(found.values()) == [[200], [403], [401], [403], [401], [401]]


def test_the_server_is_not_told_what_it_is_by_its_client(guarded: tuple[Served, str]) -> None:
    served, secret = guarded
    made = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    for name in names:
        made.request(
            "POST",
            "/api/v1/runs/latest?_method=DELETE",
            headers={"Authorization": f"Bearer {secret}", name: "DELETE"},
        )
        answer = made.getresponse()
        assert (answer.status, json.loads(answer.read())["status"]) == (405, 405)
    made.close()
