"""``sloguard run`` and ``recover`` with a Grafana: there, away, silent; and the commands around it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sloguard.adapters.store import Store
from sloguard.cli import grafana as grafana_command
from sloguard.cli import outbox as outbox_command
from sloguard.cli.telling import Telling
from sloguard.ports.outbox import Draft
from sloguard.settings import Settings
from sloguard.settings.grafana import GrafanaSettings
from sloguard.settings.outbox import OutboxSettings
from tests.fakes.grafana import DENIED, TOKEN, GrafanaDouble
from tests.support.command import sloguard
from tests.support.http_double import HttpDouble, reply


@pytest.fixture
def double() -> GrafanaDouble:
    return GrafanaDouble()


@pytest.fixture
def server(double: GrafanaDouble) -> Iterator[HttpDouble]:
    with double.served() as server:
        yield server


def experiment(home: Path, command: str = "true") -> Path:
    process = {"type": "process", "path": "sh", "arguments": ["-c", command], "timeout": 20}
    probe = {
        "type": "probe",
        "name": "there",
        "tolerance": 0,
        "provider": {"type": "process", "path": "true"},
    }
    made = {
        "title": "A <quick> one",
        "description": "Without a Prometheus.",
        "tags": ["team:web"],
        "phases": {"before": "0s", "during": "0s", "after": "0s"},
        "steady-state-hypothesis": {"title": "steady", "probes": [probe]},
        "method": [{"type": "action", "name": "break", "provider": process}],
    }
    file = home / "quick.json"
    file.write_text(json.dumps(made), "utf-8")
    return file


def settings(server: HttpDouble | str, **more: str) -> Mapping[str, str]:
    url = server if isinstance(server, str) else server.url
    return {
        "SLOGUARD_GRAFANA_URL": url,
        "SLOGUARD_GRAFANA_TOKEN": TOKEN,
        "SLOGUARD_SERVE_BASE_URL": "https://slo.example.com",
        "SLOGUARD_OUTBOX_FLUSH": "60s",
        **more,
    }


def store_of(home: Path) -> Path:
    (found,) = home.rglob("*.db")
    return found


def test_a_run_marks_its_window_once(
    tmp_path: Path, double: GrafanaDouble, server: HttpDouble
) -> None:
    ran = sloguard("run", experiment(tmp_path), home=tmp_path, env=settings(server))
    assert ran.code == 0, ran.err
    assert "met: " in ran.out
    assert "wait" not in ran.err
    (mark,) = double.annotations.values()
    run = sloguard("runs", "show", "-o", "json", home=tmp_path).json["run"]
    assert {"sloguard", "experiment:quick", "outcome:met", f"run:{run}", "team:web"} <= set(
        mark["tags"]
    )
    assert "<b>A &lt;quick&gt; one</b>: met" in mark["text"]
    assert f'href="https://slo.example.com/runs/{run}"' in mark["text"]
    # It was there while the run went on: at the fault, when it was over, and when it was judged.
    sent = [m for m, *_ in double.requests if m != "GET"]
    assert sent == ["POST", "PATCH", "PATCH"]
    assert TOKEN not in ran.out + ran.err + store_of(tmp_path).read_bytes().decode("latin-1")


def test_a_grafana_that_is_away_changes_no_verdict_and_gets_its_mark_later(
    tmp_path: Path, double: GrafanaDouble
) -> None:
    ran = sloguard("run", experiment(tmp_path), home=tmp_path, env=settings("http://127.0.0.1:1"))
    assert ran.code == 0, ran.err
    assert "met: " in ran.out
    assert "messages to grafana wait (Grafana at http://127.0.0.1:1 cannot be reached" in ran.err
    listed = sloguard("outbox", "list", "-o", "json", home=tmp_path).json
    assert [(m["channel"], m["state"]) for m in listed] == [("grafana", "waiting")] * 3
    with double.served() as server:
        # It is not due yet: a person may say that it is.
        said = sloguard("outbox", "retry", "--all", home=tmp_path)
        assert (said.code, said.out) == (0, "3 due now\n")
        flushed = sloguard("outbox", "flush", home=tmp_path, env=settings(server))
        assert (flushed.code, flushed.out) == (0, "nothing is left\n"), flushed.err
    assert len(double.annotations) == 1
    assert sloguard("outbox", "list", home=tmp_path).out == "nothing waits, nothing was given up\n"


def test_a_silent_grafana_holds_up_no_end(
    tmp_path: Path, double: GrafanaDouble, server: HttpDouble
) -> None:
    double.trouble = lambda _: "silence"
    more = {"SLOGUARD_OUTBOX_FLUSH": "0.1s", "SLOGUARD_GRAFANA_DEADLINE": "20s"}
    ran = sloguard("run", experiment(tmp_path), home=tmp_path, env=settings(server, **more))
    assert ran.code == 0
    assert "met: " in ran.out
    assert "messages to grafana wait" in ran.err
    # It did not even wait for the request that was under way to fail.
    with Store(str(store_of(tmp_path))) as store:
        first = store.messages(channel="grafana")[-1]
    assert (first.attempts, first.error) == (1, "")
    assert first.held_until > 0.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_whoever_ends_the_waiting_does_not_end_the_command(
    tmp_path: Path, double: GrafanaDouble, number: signal.Signals
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def end(_: object) -> str:
        """Once it is waited for Grafana."""
        while signal.getsignal(signal.SIGTERM) == before:
            time.sleep(0.001)
        os.kill(os.getpid(), number)
        return "silence"

    double.trouble = end
    with Store(str(tmp_path / "x.db")) as store:
        payload = {"id": "r.during", "time": 1.0, "time_end": None, "tags": [], "text": "x"}
        more = {"dashboard": None, "panel": None, "final": False}
        store.put([Draft(channel="grafana", key="a", kind="a", payload={**payload, **more})])
        with double.served() as server:
            group = GrafanaSettings(url=server.url, token=TOKEN, deadline=20.0)
            telling = Telling(Settings(grafana=group, outbox=OutboxSettings(flush=60.0)), store)
            began = time.monotonic()
            telling.finish()
            # Neither what the settings allow nor the deadline of the request.
            assert time.monotonic() - began < 19.0
        assert signal.getsignal(signal.SIGTERM) == before
        assert telling._courier is not None
        telling._courier.stop(60.0)


def test_a_killed_run_gets_its_end_when_it_is_recovered(
    tmp_path: Path, double: GrafanaDouble, server: HttpDouble
) -> None:
    killed = sloguard(
        "run", experiment(tmp_path, "kill -9 $PPID"), home=tmp_path, env=settings(server)
    )
    assert killed.code == -9
    recovered = sloguard("recover", home=tmp_path, env=settings(server))
    assert recovered.code == 0, recovered.err
    if not double.annotations:
        # What the dead run was delivering is nobody else's for a while.
        sloguard("outbox", "flush", home=tmp_path, env=settings(server))
    with Store(str(store_of(tmp_path))) as store:
        kept = store.messages(channel="grafana")
    assert kept[0].key.endswith(".during:ended:aborted")
    assert kept[0].payload["time_end"] >= kept[0].payload["time"]
    assert len(double.annotations) <= 1
    if kept[0].state == "delivered":
        (mark,) = double.annotations.values()
        assert "outcome:aborted" in mark["tags"]


def test_settings_that_do_not_fit_are_told_before_anything_is_broken(tmp_path: Path) -> None:
    for more, said in (
        ({"SLOGUARD_GRAFANA_URL": "grafana:3000"}, "must begin with http"),
        ({"SLOGUARD_GRAFANA_PHASES": "later"}, "grafana.phases: found 'later'"),
        ({"SLOGUARD_GRAFANA_DASHBOARDS": "a/b"}, "grafana.dashboards: found 'a/b'"),
    ):
        env = settings("http://127.0.0.1:1", **more)
        ran = sloguard("run", experiment(tmp_path, "touch broken"), home=tmp_path, env=env)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
    assert not (tmp_path / "broken").exists()


# ``sloguard outbox``, on a store of its own.


def outbox(store: Path, *words: str) -> Result:
    group, *rest = words
    return CliRunner().invoke(outbox_command.command, [group, *rest, "--store", str(store)])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    with Store(str(path)) as store:
        store.put(
            [
                Draft(channel="grafana", key="a", kind="annotation", stream="run-1"),
                Draft(channel="grafana", key="b", kind="annotation", stream="run-1"),
                Draft(channel="slack:ops", key="c", kind="run-failed", stream="run-1"),
            ]
        )
        first = store.take(["grafana"], holder="x", seconds=60.0)
        assert first is not None
        store.give_up(first.number, "x", "answered 400: \x1b[31mbad request data")
        second = store.take(["grafana"], holder="x", seconds=60.0)
        assert second is not None
        store.delivered(second.number, "x")
    return path


def test_what_waits_and_what_was_given_up_is_listed(kept: Path) -> None:
    shown = outbox(kept, "list").output
    assert "answered 400" in shown
    assert "\x1b" not in shown
    assert "delivered" not in shown
    found = json.loads(outbox(kept, "list", "--all", "-o", "json").output)
    assert [(m["number"], m["state"]) for m in found] == [
        (3, "waiting"),
        (2, "delivered"),
        (1, "failed"),
    ]
    only = json.loads(outbox(kept, "list", "--channel", "slack:ops", "-o", "json").output)
    assert [m["number"] for m in only] == [3]
    assert outbox(kept, "list", "--stream", "run-2").output.startswith("nothing waits")
    assert outbox(kept, "list", "--state", "dropped").output == "no such message\n"


def test_messages_are_repeated_and_dropped_and_that_is_in_the_audit_log(kept: Path) -> None:
    again = outbox(kept, "retry", "1")
    assert (again.exit_code, again.stdout) == (0, "1 due now\n")
    dropped = outbox(kept, "drop", "1", "2", "9")
    assert (dropped.exit_code, dropped.stdout) == (2, "1 dropped\n")
    assert "2: it has arrived" in dropped.stderr
    assert "9: there is no such message" in dropped.stderr
    with Store(str(kept)) as store:
        entries = [(e.action, e.target) for e in store.audit_entries()]
    assert entries == [("outbox.drop", "message:1"), ("outbox.retry", "message:1")]


@pytest.mark.parametrize(
    "words", [("retry",), ("retry", "1", "--all"), ("retry", "--channel", "x")]
)
def test_what_is_meant_must_be_said(kept: Path, words: tuple[str, ...]) -> None:
    said = outbox(kept, *words)
    assert said.exit_code == 2
    assert "name messages by their numbers" in said.stderr


def test_flush_tells_what_nobody_here_can_deliver(kept: Path) -> None:
    said = outbox(kept, "flush")
    assert said.exit_code == 1
    assert "1 to slack:ops left: no such channel is set up here" in said.stderr


# ``sloguard grafana check``.


def check(server: HttpDouble | str, *words: str, **more: str) -> Result:
    return CliRunner().invoke(
        grafana_command.command, ["check", *words], env={**settings(server, **more)}
    )


def test_the_check_tries_everything_and_leaves_nothing(
    double: GrafanaDouble, server: HttpDouble
) -> None:
    said = check(server, SLOGUARD_GRAFANA_DASHBOARDS="shop,shop/4")
    assert said.exit_code == 0, said.output
    assert said.output.splitlines() == [
        f"✓ Grafana at {server.url} is there, version 11.4.0",
        "✓ organisation: Main Org.",
        "✓ dashboard shop: The shop",
        "✓ dashboard shop: The shop",
        "✓ annotations can be made",
        "✓ annotations are found again",
        "✓ annotations can be changed",
        "✓ annotations can be removed",
    ]
    assert double.annotations == {}
    double.requests.clear()
    assert check(server, "--read-only").exit_code == 0
    assert {method for method, *_ in double.requests} == {"GET"}


def test_the_check_says_what_is_missing(double: GrafanaDouble, server: HttpDouble) -> None:
    double.allowed = frozenset({"GET"})
    said = check(server, SLOGUARD_GRAFANA_DASHBOARDS="gone")
    assert said.exit_code == 1
    assert "✗ dashboard gone: " in said.output
    assert "✗ annotations cannot be made: " in said.output
    double.allowed = frozenset({"GET", "POST", "PATCH"})
    said = check(server)
    assert said.exit_code == 0
    assert "! annotations cannot be removed (needed only where one was made twice" in said.output
    double.trouble = lambda r: "after-500" if r.path == "/api/org" else None
    assert check(server).exit_code == 1
    assert check("http://127.0.0.1:1").output.startswith("✗ Grafana at http://127.0.0.1:1 cannot")
    none: Any = {"SLOGUARD_GRAFANA_URL": ""}
    assert check(server, **none).exit_code == 2


def test_the_organisations_name_is_not_needed(double: GrafanaDouble) -> None:
    def script(request: Any) -> Any:
        return reply(DENIED, 403) if request.path == "/api/org" else double.script(request)

    with HttpDouble(script) as server:
        said = check(server)
    assert said.exit_code == 0
    assert "! the organisation's name may not be read" in said.output
