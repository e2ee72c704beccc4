"""HTTP load against a real server: what was sent, what came back, and its end at any moment."""

from __future__ import annotations

import json
import math
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.faults.base import Context, FaultError, Injection, find_fault
from sloguard.faults.latency import Latencies
from sloguard.faults.load import http_load
from sloguard.host.marks import FAULT, marked
from tests.support.calling import eventually
from tests.support.crashing import killed_at, start_injecting, undone_elsewhere
from tests.support.patience import SOON, all_at_once
from tests.support.web import Web, serve


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as running:
        yield running


def load(url: str, **arguments: Any) -> dict[str, Any]:
    (report,) = http_load(url=url, **{"duration": "500ms", **arguments})
    return dict(report)


def planned(url: str, **arguments: Any) -> Injection:
    given_arguments = {"url": url, "duration": 60, "clients": 2, **arguments}
    return find_fault("load.http_load").plan(given_arguments, Context()).injections[0]


def test_clients_send_one_request_after_the_other_and_all_are_counted(web: Web) -> None:
    report = load(f"{web.url}/ok", clients=3)
    assert report["sent"] == report["answered"] == len(web.seen) > 3
    assert report["by_status"] == {"200": len(web.seen)}
    assert report["errors"] == {}
    assert len({s.peer for s in web.seen}) == report["connections"] == report["most_in_flight"] == 3
    assert report["sent_rate"] == pytest.approx(report["sent"] / report["seconds"], rel=0.01)
    assert report["bytes_received"] > report["answered"] * 50
    assert report["bytes_sent"] > report["sent"] * 50
    times = report["latency_seconds"]
    assert 0 < times["p50"] <= times["p90"] <= times["p95"] <= times["p99"] <= times["max"]
    assert report["stopped"] is False


def test_a_rate_is_kept(web: Web) -> None:
    report = load(f"{web.url}/ok", rate=40, duration=1)
    assert report["sent"] == len(web.seen) == 40
    assert report["asked_rate"] == 40
    assert (report["not_sent"], report["answered"]) == (0, 40)
    assert report["most_in_flight"] < 40


def test_a_rate_is_kept_while_the_server_stalls_and_latency_counts_from_when_it_was_due(
    web: Web,
) -> None:
    report = load(f"{web.url}/stall", rate=50, duration=1, clients=100)
    assert report["sent"] == 50
    # All that were due during the stall of a second waited for its end: no omission by coordination.
    assert report["most_in_flight"] > 30
    assert report["latency_seconds"]["p50"] > 0.3
    assert report["latency_seconds"]["max"] >= 1.0


def test_what_could_not_leave_in_time_is_told(web: Web) -> None:
    report = load(f"{web.url}/slow/0.2", rate=50, duration=1, clients=2)
    assert report["sent"] + report["not_sent"] == 50
    assert report["not_sent"] > 20
    assert report["late"] > 0
    assert report["connections"] == 2
    assert report["latency_seconds"]["max"] > 0.6


KINDS = {
    "/status/503": "503",
    "/redirect": "302",
    "/chunked": "200",
    "/close": "200",
    "/nobody": "204",
    "/continue": "200",
    "/json": "200",
}


def test_every_kind_of_answer_is_read_to_its_end(web: Web) -> None:
    calls = [partial(load, f"{web.url}{path}", clients=1, duration="2s") for path in KINDS]
    seen_at = Counter[str]()
    for (path, status), report in zip(KINDS.items(), all_at_once(calls), strict=True):
        assert isinstance(report, dict), (path, report)
        assert report["errors"] == {}, path
        assert report["by_status"] == {status: report["sent"]}, path
        # More than one: what was left of an answer would be the beginning of the next.
        assert report["sent"] > 1, path
        seen_at[path] = report["sent"]
    assert Counter(s.path for s in web.seen) == seen_at


def test_a_connection_that_the_server_closes_quietly_is_opened_again_without_an_error(
    web: Web,
) -> None:
    report = load(f"{web.url}/once", clients=2, duration="300ms")
    assert report["errors"] == {}
    assert report["by_status"] == {"200": report["sent"]}


def test_methods_headers_and_bodies(web: Web) -> None:
    load(f"{web.url}/ok?a=b c", clients=1, duration="50ms", method="post", body={"n": 1},
         headers={"X-Tag": 7, "user-agent": "tester"})  # fmt: skip
    seen = web.seen[0]
    assert (seen.method, json.loads(seen.body), seen.query) == ("POST", {"n": 1}, {"a": ["b c"]})
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["X-Tag"] == "7"
    assert seen.headers["user-agent"] == "tester"
    assert "User-Agent" not in seen.headers
    load(f"{web.url}/ok", clients=1, duration="50ms", method="HEAD")
    assert web.seen[-1].method == "HEAD"
    load(f"{web.url}/ok", clients=1, duration="50ms", method="PUT", body="plain é")
    assert web.seen[-1].body == "plain é".encode()


def test_credentials_reach_the_server_and_nothing_else(web: Web) -> None:
    url = f"http://user:swordfish@127.0.0.1:{web.port}/ok?key=swordfish"
    injection = planned(url, headers={"X-Key": "swordfish"}, body="swordfish", method="POST")
    shown = json.dumps([injection.record, injection.target, injection.by_hand]) + repr(injection)
    assert "swordfish" not in shown
    (report,) = http_load(url=url, clients=1, duration="100ms", headers={"X-Key": "swordfish"})
    assert "swordfish" not in json.dumps(report)
    assert report["url"] == f"http://127.0.0.1:{web.port}/ok"
    assert web.seen[0].headers["Authorization"] == "Basic dXNlcjpzd29yZGZpc2g="
    assert web.seen[0].headers["X-Key"] == "swordfish"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("path", "timeout", "kind"),
    [("/hangup", "30s", "connection lost"), ("/gate", "200ms", "timeout")],
)
def test_errors_by_kind(web: Web, path: str, timeout: str, kind: str) -> None:
    report = load(f"{web.url}{path}", clients=2, timeout=timeout)
    assert set(report["errors"]) == {kind}
    assert report["errors"][kind] == report["sent"]
    assert report["latency_seconds"]["p50"] is None


def test_a_refused_connection_is_an_error_and_not_a_busy_loop() -> None:
    report = load(f"http://127.0.0.1:{closed_port()}/", clients=2)
    assert set(report["errors"]) == {"connection refused"}
    assert report["sent"] < 150


def test_a_name_that_cannot_be_resolved() -> None:
    report = load("http://no..name/", clients=1, duration="100ms")
    assert set(report["errors"]) == {"name not resolved"}


def test_what_does_not_speak_http() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        listening.settimeout(0.1)
        done = threading.Event()

        def chatter() -> None:
            while not done.is_set():
                try:
                    peer, _ = listening.accept()
                except OSError:
                    continue
                with peer:
                    peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
                    peer.recv(1000)

        thread = threading.Thread(target=chatter)
        thread.start()
        report = load(
            f"http://127.0.0.1:{listening.getsockname()[1]}/", clients=1, duration="300ms"
        )
        done.set()
        thread.join()
    assert set(report["errors"]) <= {"not HTTP", "connection lost"}
    assert report["errors"]["not HTTP"] > 0


def test_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serve(context) as secure:
        assert set(load(f"{secure.url}/ok", clients=1)["errors"]) == {"TLS error"}
        trusting = load(f"{secure.url}/ok", clients=1, verify_tls=str(certificate))
        careless = load(f"{secure.url}/ok", clients=1, verify_tls=False)
    for report in (trusting, careless):
        assert report["errors"] == {}
        assert report["answered"] > 1
        assert report["connections"] == 1


def stopped_under_way(web: Web, path: str, **arguments: Any) -> tuple[dict[str, Any], float]:
    context, reports = Context(), []
    injection = planned(f"{web.url}{path}", **arguments)
    inject = find_fault("load.http_load").inject
    thread = threading.Thread(target=lambda: reports.append(inject(injection, context)))
    thread.start()
    eventually(lambda: len(web.seen) >= 2)
    began = time.monotonic()
    context.stop.set()
    thread.join(SOON)
    took = time.monotonic() - began
    assert marked(**{FAULT: injection.record["token"]}) == []
    return reports[0], took


@pytest.mark.parametrize("arguments", [{"clients": 2}, {"rate": 20, "clients": 10}])
@pytest.mark.parametrize("path", ["/ok", "/gate"])
def test_stop_ends_it_within_a_second_with_its_report(
    web: Web, path: str, arguments: dict[str, Any]
) -> None:
    report, took = stopped_under_way(web, path, **arguments)
    assert took < SOON
    assert report["stopped"] is True
    assert report["seconds"] < 30
    assert report["sent"] == report["answered"] + sum(report["errors"].values())
    assert set(report["errors"]) <= {"unfinished"}


@pytest.mark.parametrize("moment", ["planned", "under way"])
def test_the_load_ends_with_the_process_that_made_it(web: Web, moment: str, tmp_path: Path) -> None:
    path, arguments = tmp_path / "record.json", {"url": f"{web.url}/ok", "duration": 60, "rate": 20}
    if moment == "planned":
        record = killed_at(moment, "load.http_load", arguments, path)
    else:
        with start_injecting("load.http_load", arguments, path) as process:
            eventually(lambda: web.seen)
            process.kill()
        record = json.loads(path.read_text())
    eventually(lambda: not marked(**{FAULT: record["token"]}))
    count = len(web.seen)
    assert undone_elsewhere("load.http_load", record)[0] == ""
    assert len(web.seen) == count


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "give clients .* or rate"),
        ({"rate": 0}, "rate: must be above 0"),
        ({"rate": -5}, "rate: must be above 0"),
        ({"rate": math.nan}, "rate: expected a number"),
        ({"rate": 10**6}, "rate: must be above 0 and at most 10000"),
        ({"clients": 0}, "clients: must be at least 1"),
        ({"clients": 5000}, "clients: must be at least 1 and at most 1000"),
        ({"clients": 1, "duration": "2h"}, "duration: at most 3600s"),
        ({"clients": 1, "duration": 0}, "duration: must be above 0"),
        ({"clients": 1, "url": "ftp://h/"}, "url: expected an address"),
        ({"clients": 1, "url": "http://h:x/"}, "url: "),
        ({"clients": 1, "method": "GET /"}, "method: 'GET /' is not an HTTP method"),
        ({"clients": 1, "headers": {"X": "a\r\nY: b"}}, "'X' is not a valid header"),
        ({"clients": 1, "headers": {"a b": "c"}}, "'a b' is not a valid header"),
        ({"clients": 1, "headers": {"X": "日"}}, "only Latin-1"),
        ({"clients": 1, "headers": ["X"]}, "headers: expected a mapping"),
        ({"clients": 1, "body": {"x": math.inf}}, "body: "),
        ({"clients": 1, "timeout": 0}, "timeout: must be above 0"),
        ({"clients": 1, "verify_tls": 3}, "verify_tls: expected"),
    ],
)
def test_nonsense_is_refused_before_a_request_is_sent(
    web: Web, arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(FaultError, match=expected):
        http_load(**{"url": web.url, "duration": 1, **arguments})
    assert web.seen == []


def test_a_policy_can_forbid_an_address(web: Web) -> None:
    context = Context(allow_url=lambda url: "not in this house" if "127.0.0.1" in url else None)
    with pytest.raises(FaultError, match="may not be called: not in this house"):
        find_fault("load.http_load").plan({"url": web.url, "duration": 1, "clients": 1}, context)


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=200), st.floats(0.01, 1))
def test_quantiles_are_right_to_a_percent(values: list[float], share: float) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    exact = sorted(values)[max(math.ceil(share * len(values) - 1e-9), 1) - 1]
    found = latencies.quantile(share)
    assert found is not None
    assert exact * 0.9999 <= found <= exact * 1.0101
    assert latencies.quantile(1.0) == pytest.approx(max(values), rel=0.0101)
    assert latencies.summary()["max"] == pytest.approx(max(values), abs=1e-6)


def test_a_histogram_stays_small() -> None:
    latencies = Latencies()
    for i in range(100_000):
        latencies.add((i % 1000 + 1) * 1e-4)
    assert len(latencies._counts) < 1000
    assert latencies.count == 100_000
    assert Latencies().summary()["p99"] is None
