"""The Chaos Toolkit's own notifications: what its settings say is what is called, as chaoslib would."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from sloguard.notifiers.chaostoolkit import ToolkitChannel, numbered, read_notifications
from sloguard.ports.outbox import DeliveryError
from tests.support.http_double import HttpDouble, reply
from tests.support.notices import Delivery, message

SETTINGS = """
auths: {{}}
notifications:
- type: http
  url: {url}/hook
  headers: {{Authorization: Bearer t0ken-t0ken}}
  verify_tls: false
- type: http
  url: {url}/ping
  forward_event_payload: false
  events: [run-failed]
- type: plugin
  module: {module}
  func: hear
- type: pigeon
"""
TOLD = {"event": "run-completed", "run": "r1", "ts": 12.5}
JOURNAL = {"status": "completed", "deviated": False}


@pytest.fixture
def heard():
    """A plugin's module, and what it was called with."""
    calls: list[tuple[Any, Any]] = []
    module = types.ModuleType("toolkit_plugin_of_a_test")
    module.hear = lambda channel, told: calls.append((channel, told))  # type: ignore[attr-defined]

    def fail(_channel: Any, _told: Any) -> None:
        raise RuntimeError("with a s3cr3t")

    module.fail = fail  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield calls
    del sys.modules[module.__name__]


def channels(tmp_path: Path, url: str = "http://127.0.0.1:1") -> list[ToolkitChannel]:
    file = tmp_path / "settings.yaml"
    file.write_text(SETTINGS.format(url=url, module="toolkit_plugin_of_a_test"))
    found = read_notifications(file)
    payloads = {"run-started": {"title": "x"}, "run-completed": JOURNAL}
    return [
        ToolkitChannel(n, c, lambda event, _run: payloads.get(event), patience=0.0)
        for n, c in enumerate(found, 1)
    ]


def told(kind: str = "run-completed", **more: Any):
    return message({**TOLD, "event": kind}, **more)


def test_the_settings_are_read_as_chaoslib_reads_them(tmp_path):
    from chaoslib.settings import load_settings

    made = channels(tmp_path)
    theirs = load_settings(str(tmp_path / "settings.yaml"))
    assert [c._channel for c in made] == theirs["notifications"]
    names = list(numbered(theirs["notifications"]))
    assert names == [
        ("chaostoolkit:1", None),
        ("chaostoolkit:2", frozenset({"run-failed"})),
        ("chaostoolkit:3", None),
        ("chaostoolkit:4", None),
    ]


@pytest.mark.parametrize(
    "text", ["", "a: [", "notifications: none", "- x", "notifications: [1, x]"]
)
def test_settings_that_make_no_sense_are_none(tmp_path, text):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    assert read_notifications(file) == ()
    assert read_notifications(tmp_path / "not-there") == ()


def test_an_endpoint_gets_what_chaoslib_sends(tmp_path):
    from chaoslib.notification import RunFlowEvent, notify

    with HttpDouble(lambda _: reply("", status=200)) as double:
        made = channels(tmp_path, double.url)
        made[0].deliver(told(), Delivery())
        theirs = {"notifications": [dict(made[0]._channel)]}
        notify(theirs, RunFlowEvent.RunCompleted, JOURNAL)
    ours, chaoslibs = (json.loads(request.body) for request in double.requests)
    assert ours.keys() == chaoslibs.keys()
    assert {k: v for k, v in ours.items() if k != "ts"} == {
        k: v for k, v in chaoslibs.items() if k != "ts"
    }
    assert ours["ts"] == 12.5
    ours_head, their_head = (
        {k.lower(): v for k, v in request.headers.items()} for request in double.requests
    )
    for name in ("authorization", "content-type"):
        assert ours_head[name] == their_head[name]
    assert {r.method for r in double.requests} == {"POST"}


def test_without_forwarding_it_is_a_get(tmp_path):
    with HttpDouble(lambda _: reply("", status=200)) as double:
        channels(tmp_path, double.url)[1].deliver(told(), Delivery())
    assert (double.requests[0].method, double.requests[0].path) == ("GET", "/ping")
    assert double.requests[0].body == b""


def test_a_plugin_is_called_with_its_settings_and_the_event(tmp_path, heard):
    channels(tmp_path)[2].deliver(told("run-started"), Delivery())
    ((settings, event),) = heard
    assert settings["func"] == "hear"
    assert event == {"name": "run-started", "payload": {"title": "x"}, "phase": "run", "ts": 12.5}


def test_what_goes_wrong_is_told_without_what_it_says(tmp_path, heard):
    failing = {"type": "plugin", "module": "toolkit_plugin_of_a_test", "func": "fail"}
    missing = {"type": "plugin", "module": "no.such.module"}
    for channel, said in (
        (failing, "toolkit_plugin_of_a_test.fail failed: RuntimeError"),
        (missing, "no.such.module.notify cannot be had: ModuleNotFoundError"),
        ({"type": "pigeon"}, "neither http nor plugin"),
        ({"type": "http"}, "has no url"),
    ):
        with pytest.raises(DeliveryError) as caught:
            ToolkitChannel(1, channel, lambda *_: JOURNAL, patience=0.0).deliver(told(), Delivery())
        assert said in str(caught.value)
        assert "s3cr3t" not in str(caught.value)
        assert caught.value.permanent
    assert heard == []


def test_a_journal_that_is_not_kept_yet_is_waited_for(tmp_path, heard):
    channel = channels(tmp_path)[2]
    with pytest.raises(DeliveryError, match="not in the store yet") as caught:
        channel.deliver(told("run-failed"), Delivery())
    assert not caught.value.permanent
    channel.deliver(told("run-failed", attempts=5), Delivery())
    assert heard[0][1]["payload"] is None
