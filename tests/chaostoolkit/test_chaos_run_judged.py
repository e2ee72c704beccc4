"""``chaos run`` with sloguard's control, before a real Prometheus. All runs go on at once, in one world.

On the release of the Chaos Toolkit that is installed, and the chief of them on the other one too.
"""

from __future__ import annotations

import json
import os
import select
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.compat_releases import MISSING, Release, other
from tests.support.forked import shared
from tests.support.servers import PrometheusServer, free_port, has

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not has("prometheus"), reason="Prometheus is missing"),
]

SECRET = "hunter2-of-the-shop"
OTHER = other()
#: Named by hand, the other release has all the runs.
BY_HAND = bool(os.environ.get("SLOGUARD_TEST_CHAOSTOOLKIT"))
on_each_release = pytest.mark.parametrize(
    "suffix",
    [
        "",
        pytest.param(" elsewhere", marks=pytest.mark.skipif(OTHER is None, reason=MISSING)),
    ],
)


@dataclass(frozen=True)
class Chaos:
    """What came of a ``chaos run``."""

    code: int
    said: str
    journal: dict[str, Any]
    folder: Path

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = self.journal["sloguard"]
        return found

    @property
    def is_broken(self) -> bool:
        return (self.folder / "broken").exists()


@dataclass(frozen=True)
class Case:
    """One run. ``prometheus`` stands for the world's where it is empty."""

    experiment: Mapping[str, Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prometheus: str = ""
    flags: tuple[str, ...] = ()
    is_global: bool = False
    breaks_first: bool = False
    release: Release | None = OTHER if BY_HAND else None


def act(name: str, command: str, **more: Any) -> dict[str, Any]:
    provider = {"type": "process", "path": "sh", "arguments": ["-c", command], "timeout": 95}
    return {"type": "action", "name": name, "provider": provider, **more}


def slo(case: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "errors",
        "query": f'shop_error_ratio{{case="{case}"}}',
        "objective": "< 1%",
        **more,
    }


def experiment(case: str, **more: Any) -> dict[str, Any]:
    return {
        # The Chaos Toolkit fills this in before anybody sees it.
        "title": f"Case {case} of ${{password}}",
        "description": "The shop is broken for a moment.",
        "phases": {"before": "2s", "during": "2s", "after": "3s"},
        "secrets": {"shop": {"password": {"type": "env", "key": "SHOP_PASSWORD"}}},
        "steady-state-hypothesis": {
            "title": "It sells",
            "slos": [slo(case, after={"recover_within": "3s", "hold": "1s"})],
        },
        "method": [act("break", "touch broken")],
        "rollbacks": [act("mend", "rm -f broken")],
        **more,
    }


#: However slow the machine is: until Prometheus has asked for what is broken a few times.
FELT = act("felt", 'while [ "$(cat told 2>/dev/null || echo 0)" -lt 3 ]; do sleep 0.1; done')


def met(case: str) -> dict[str, Any]:
    return experiment(case, method=[act("look", "true")])


def deviated(case: str, **more: Any) -> dict[str, Any]:
    return experiment(case, method=[act("break", "touch broken"), FELT], **more)


def guarded(case: str) -> dict[str, Any]:
    query = f'shop_error_ratio{{case="{case}"}}'
    guard = {"name": "too-bad", "query": query, "objective": "< 10%"}
    method = [act("break", "touch broken; sleep 85"), act("never", "touch never")]
    return experiment(case, **{"abort-when": [guard]}, method=method)


CASES: Mapping[str, Case] = {
    "met": Case(met("met")),
    "met elsewhere": Case(met("met elsewhere"), release=OTHER),
    "deviated": Case(deviated("deviated")),
    "deviated elsewhere": Case(deviated("deviated elsewhere"), release=OTHER),
    "global": Case(deviated("global"), is_global=True),
    "file": Case(
        deviated("file", **{"steady-state-hypothesis": {"title": "-", "probes": []}}),
        {"slos": "slos.yaml"},
    ),
    "guard": Case(guarded("guard")),
    "guard elsewhere": Case(guarded("guard elsewhere"), release=OTHER),
    "unmet": Case(experiment("unmet"), breaks_first=True),
    "away": Case(experiment("away"), prometheus="none"),
    "away elsewhere": Case(experiment("away elsewhere"), prometheus="none", release=OTHER),
    "failed elsewhere": Case(
        experiment("failed elsewhere", method=[act("break", "exit 3")]), release=OTHER
    ),
    "lost": Case(
        experiment("lost", method=[act("cut", "touch cut")]), prometheus="through the line"
    ),
    "no data": Case(experiment("unknown")),
    "mistyped": Case(experiment("mistyped"), {"promteheus": "x"}),
    "to be approved": Case(experiment("to be approved", approval={"required": True})),
    "not rolled back": Case(experiment("never"), flags=("--rollback-strategy", "never")),
    "failed action": Case(experiment("failed", method=[act("break", "exit 3")])),
    "dry": Case(experiment("dry"), flags=("--dry", "activities")),
    "no slo": Case(experiment("none", **{"steady-state-hypothesis": {"title": "-", "probes": []}})),
}
#: Cases whose series are broken by a file of their folder.
SERIES = (
    "met",
    "met elsewhere",
    "deviated",
    "deviated elsewhere",
    "global",
    "file",
    "guard",
    "guard elsewhere",
    "away elsewhere",
    "failed elsewhere",
    "lost",
    "unmet",
    "away",
    "never",
    "failed",
    "dry",
)


class World:
    """A shop with a series for every case, its Prometheus, and all runs under way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for case in (*CASES, *SERIES):
            (folder / case).mkdir(exist_ok=True)
        self._shop = _shop(folder)
        thread = threading.Thread(target=self._shop.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        address = f"127.0.0.1:{self._shop.server_port}"
        self.prometheus = PrometheusServer(folder / "prometheus", targets={"shop": [address]})
        self.prometheus.start()
        self._line = Line(self.prometheus.port, folder / "lost" / "cut")
        self._commands = shared()
        self._pool = ThreadPoolExecutor(len(CASES))
        self._runs: dict[str, Future[Chaos]] = {}

    def start(self) -> None:
        (self.folder / "unmet" / "broken").touch()
        self._warm()
        wanted = [name for name in CASES if OTHER or not name.endswith(" elsewhere")]
        self._runs = {name: self._pool.submit(self._run, name) for name in wanted}

    def of(self, name: str) -> Chaos:
        return self._runs[name].result(110)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._line.close()
        self.prometheus.stop()
        self._shop.shutdown()
        self._shop.server_close()

    def _warm(self) -> None:
        query = "/api/v1/query?query=min(count_over_time(shop_error_ratio[1h]))"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            result = self.prometheus.get(query)["data"]["result"]
            if result and float(result[0]["value"][1]) >= 4:
                return
            time.sleep(0.2)
        raise AssertionError("Prometheus has no history of the shop")

    def _run(self, name: str) -> Chaos:
        case = CASES[name]
        series = {"not rolled back": "never", "failed action": "failed"}.get(name, name)
        folder = self.folder / series
        urls = {"none": f"http://127.0.0.1:{free_port()}", "through the line": self._line.url}
        url = urls.get(case.prometheus, self.prometheus.url)
        arguments = {"prometheus": url, "store": str(folder / "store.db"), **case.arguments}
        provider = {"type": "python", "module": "sloguard.chaostoolkit.control"}
        control = {"name": "sloguard", "provider": {**provider, "arguments": arguments}}
        declared = dict(case.experiment)
        settings: dict[str, Any] = {}
        if case.is_global:
            settings["controls"] = {"sloguard": {"provider": control["provider"]}}
        else:
            declared["controls"] = [control]
        (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
        (folder / "experiment.json").write_text(json.dumps(declared))
        (folder / "slos.yaml").write_text(yaml.safe_dump({"slos": [slo(series)]}))
        ran = self._commands.start(
            *("--no-version-check", "--no-log-file", "--settings", "settings.yaml"),
            *("run", *case.flags, "experiment.json"),
            home=folder,
            env={
                "SHOP_PASSWORD": SECRET,
                "SLOGUARD_RUNS_METRICS_PATIENCE": "1s",
                **({"PYTHONPATH": case.release.path()} if case.release else {}),
            },
            program="chaos",
        ).wait(100)
        journal = json.loads((folder / "journal.json").read_text())
        return Chaos(ran.code, ran.out + ran.err, journal, folder)


class Line:
    """A connection to Prometheus that is cut once a file is there."""

    def __init__(self, port: int, cut: Path) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                if cut.exists():
                    return
                with socket.create_connection(("127.0.0.1", port)) as there:
                    ends = {self.request: there, there: self.request}
                    while not cut.exists():
                        for one in select.select(list(ends), [], [], 0.1)[0]:
                            data = one.recv(65536)
                            if not data:
                                return
                            ends[one].sendall(data)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _shop(folder: Path) -> ThreadingHTTPServer:
    told: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lines = ["# TYPE shop_error_ratio gauge"]
            for name in SERIES:
                is_broken = (folder / name / "broken").exists()
                value = 0.5 if is_broken else 0
                if is_broken:
                    told[name] += 1
                    (folder / name / "told").write_text(str(told[name]))
                lines.append(f'shop_error_ratio{{case="{name}"}} {value}')
            body = ("\n".join(lines) + "\n").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("chaos"))
    try:
        made.start()
        yield made
    finally:
        made.close()


@on_each_release
def test_a_steady_state_that_holds_is_met(world: World, suffix: str) -> None:
    ran = world.of(f"met{suffix}")
    assert (ran.code, ran.document["outcome"]) == (0, "met"), ran.said
    assert ran.journal["status"] == "completed"
    assert not ran.journal["deviated"]
    assert [a["name"] for a in ran.document["activities"]] == ["look", "mend"]


@pytest.mark.parametrize(
    "name",
    [
        "deviated",
        "global",
        "file",
        pytest.param("deviated elsewhere", marks=pytest.mark.skipif(OTHER is None, reason=MISSING)),
    ],
)
def test_a_breach_between_the_chaos_toolkits_own_looks_deviates(world: World, name: str) -> None:
    ran = world.of(name)
    assert (ran.code, ran.document["outcome"]) == (1, "deviated"), ran.said
    assert ran.journal["deviated"] is True
    assert "errors" in ran.document["reason"]
    assert ran.document["time_to_impact_seconds"] is not None
    assert not ran.is_broken


@pytest.mark.skipif(OTHER is None, reason=MISSING)
def test_both_releases_have_run(world: World) -> None:
    assert OTHER is not None
    assert world.of("met elsewhere").journal["chaoslib-version"] == OTHER.library
    assert (world.of("met").journal["chaoslib-version"] == OTHER.library) is BY_HAND


def test_the_marks_are_those_of_the_method(world: World) -> None:
    ran = world.of("deviated")
    timeline = ran.document["timeline"]
    begun, mended = ran.journal["run"][0]["start"], ran.journal["rollbacks"][0]["end"]
    # Prometheus's clock is read through a connection.
    before = datetime.fromisoformat(begun) - datetime.fromisoformat(timeline["fault"])
    assert timedelta(seconds=-1) < before < timedelta(seconds=30)
    after = datetime.fromisoformat(timeline["restored"]) - datetime.fromisoformat(mended)
    assert timedelta(seconds=-1) < after < timedelta(seconds=30)


@on_each_release
def test_a_guard_ends_the_method_and_all_is_rolled_back(world: World, suffix: str) -> None:
    ran = world.of(f"guard{suffix}")
    assert (ran.code, ran.document["outcome"]) == (1, "aborted"), ran.said
    assert "too-bad" in ran.document["reason"]
    assert ran.journal["status"] == "interrupted"
    assert not ran.is_broken
    assert not (ran.folder / "never").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("unmet", "the steady state was not met before the fault"),
        ("away", "connection refused"),
        pytest.param(
            *("away elsewhere", "connection refused"),
            marks=pytest.mark.skipif(OTHER is None, reason=MISSING),
        ),
        ("no data", "the steady state was not met before the fault"),
        ("mistyped", "did you mean 'prometheus'"),
        ("to be approved", "it has to be approved"),
        ("no slo", "there is no SLO to judge"),
    ],
)
def test_nothing_is_broken_without_a_judge(world: World, name: str, why: str) -> None:
    ran = world.of(name)
    assert ran.code == 1
    assert ran.journal["run"] == []
    assert ran.journal["status"] == "failed"
    assert why in ran.document["reason"]
    assert why in ran.said


def test_rollbacks_that_were_not_run_are_said(world: World) -> None:
    ran = world.of("not rolled back")
    assert (ran.code, ran.document["outcome"]) == (1, "not-restored"), ran.said
    assert "did not run the rollbacks (mend)" in ran.document["reason"]
    assert ran.is_broken


def test_a_prometheus_that_is_lost_proves_nothing(world: World) -> None:
    ran = world.of("lost")
    assert (ran.code, ran.document["outcome"]) == (1, "inconclusive"), ran.said
    assert ran.journal["status"] == "failed"


@on_each_release
def test_a_failed_action_is_not_green(world: World, suffix: str) -> None:
    ran = world.of(f"failed{suffix or ' action'}")
    assert (ran.code, ran.document["outcome"]) == (1, "inconclusive"), ran.said
    assert "exit code 3" in ran.document["reason"]
    assert ran.journal["status"] == "failed"


def test_a_dry_run_is_not_judged(world: World) -> None:
    ran = world.of("dry")
    assert ran.code == 0, ran.said
    assert "sloguard" not in ran.journal
    assert "nothing is judged" in ran.said


def test_the_run_is_kept_like_any_other_and_no_secret_is(world: World) -> None:
    ran = world.of("deviated")
    shown = (
        shared()
        .start(
            "runs",
            "show",
            ran.document["run"],
            "--format",
            "json",
            "--store",
            ran.folder / "store.db",
            home=ran.folder,
        )
        .wait(60)
    )
    assert json.loads(shown.out) == ran.document
    for file in ran.folder.glob("store.db*"):
        assert SECRET.encode() not in file.read_bytes()
