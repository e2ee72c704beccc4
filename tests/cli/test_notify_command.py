"""``sloguard notify``: what there is, and whether it works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sloguard.bootstrap import notifiers, writers
from sloguard.cli import notify
from sloguard.settings import load_settings
from tests.support.http_double import HttpDouble, reply

HOOK = "/hooks/h00k-s3cr3t-h00k"


def ask(home: Path, channels: dict[str, Any], *arguments: str) -> Result:
    file = home / "sloguard.yaml"
    file.write_text(json.dumps({"notify": {"chaostoolkit": False, "channels": channels}}))
    return CliRunner().invoke(notify.command, [*arguments, "--config", str(file)])


def test_it_lists_and_tries_the_channels(tmp_path):
    with HttpDouble(lambda r: reply("", status=410 if "gone" in r.path else 204)) as double:
        channels = {
            "hook": {"type": "http", "url": double.url + HOOK, "events": ["run-deviated"]},
            "gone": {
                "type": "teams",
                "url": f"{double.url}/gone-s3cr3t-gone",
                "when": "action-needed",
            },
        }
        listed = ask(tmp_path, channels, "list")
        assert listed.exit_code == 0
        assert "http:hook" in listed.output
        assert "run-deviated" in listed.output
        assert "action-needed" in listed.output
        tried = ask(tmp_path, channels, "test")
        assert tried.exit_code == 1
        assert tried.output.splitlines() == [
            "http:hook: sent",
            f"teams:gone: failed: 127.0.0.1:{double.port} answers 410",
        ]
        assert ask(tmp_path, channels, "test", "http:hook").exit_code == 0
        assert ask(tmp_path, channels, "test", "gone").exit_code == 1
        wrong = ask(tmp_path, channels, "test", "hok")
        assert wrong.exit_code == 2
        assert "did you mean 'hook'?" in wrong.output
        assert "s3cr3t" not in listed.output + tried.output
    assert json.loads(double.requests[0].body)["event"] == "test"
    # Nothing of it is kept.
    assert not list(tmp_path.rglob("*.db"))


def test_without_channels_it_says_where_they_go(tmp_path):
    assert "notify.channels" in ask(tmp_path, {}, "list").output
    tried = ask(tmp_path, {}, "test")
    assert tried.exit_code == 2
    assert "notify.channels" in tried.output


@pytest.mark.parametrize(("wanted", "names"), [("true", ["chaostoolkit:1"]), ("false", [])])
def test_the_chaos_toolkits_notifications_can_be_left_out(tmp_path, wanted, names):
    toolkit = tmp_path / "toolkit.yaml"
    toolkit.write_text(
        json.dumps({"notifications": [{"type": "http", "url": "http://127.0.0.1:1"}]})
    )
    environ = {
        "HOME": str(tmp_path),
        "SLOGUARD_NOTIFY_CHAOSTOOLKIT": wanted,
        "SLOGUARD_NOTIFY_CHAOSTOOLKIT_SETTINGS": str(toolkit),
    }
    settings = load_settings(environ=environ, directory=tmp_path)
    assert [channel.name for channel in notifiers(settings)] == names
    assert len(writers(settings)) == len(names)
