"""``sloguard run`` with channels: all are told, once and in order, and nobody learns a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.certificates import Certificates
from tests.support.command import sloguard
from tests.support.http_double import HttpDouble, Request, reply, silence
from tests.support.mail_server import Post, mail_server

HOOK = "/hooks/h00k-s3cr3t-h00k"
KEY = "k3y-s3cr3t-k3y"
TOKEN = "xoxb-t0ken-s3cr3t"
PASSWORD = "p4ssw0rd-s3cr3t"
OWN = "0wn-s3cr3t-0wn"


def experiment(home: Path, command: str = "true", tolerance: int = 0) -> Path:
    """One whose title holds a secret of its own."""
    process = {"type": "process", "path": "sh", "arguments": ["-c", command], "timeout": 20}
    probe = {"type": "probe", "name": "there", "tolerance": tolerance,
             "provider": {"type": "process", "path": "true"}}  # fmt: skip
    made = {
        "title": "A <quick> one with ${own}",
        "description": "Without a Prometheus.",
        "tags": ["team:web"],
        "secrets": {"own": OWN},
        "phases": {"before": "0s", "during": "0s", "after": "0s"},
        "steady-state-hypothesis": {"title": "steady", "probes": [probe]},
        "method": [{"type": "action", "name": "break", "provider": process}],
    }
    file = home / "quick.json"
    file.write_text(json.dumps(made), "utf-8")
    return file


def configured(home: Path, channels: dict[str, Any], **notify: Any) -> dict[str, str]:
    file = home / "sloguard.yaml"
    file.write_text(json.dumps({"notify": {**notify, "channels": channels}}))
    return {
        "SLOGUARD_CONFIG": str(file),
        "SLOGUARD_OUTBOX_FLUSH": "60s",
        "SLOGUARD_SERVE_BASE_URL": "https://slo.example.com",
        "TOKEN_OF_A_TEST": TOKEN,
        "KEY_OF_A_TEST": KEY,
    }


def everywhere(request: Request) -> Any:
    """Slack's API and any webhook in one."""
    if request.path.startswith("/api/"):
        return reply({"ok": True, "ts": "1.1", "channel": "C1"})
    return reply("", status=204)


def test_everybody_is_told_once_and_in_order_and_learns_no_secret(
    tmp_path: Path, certificates: Certificates
) -> None:
    (tmp_path / "url").write_text("")
    (tmp_path / "password").write_text(PASSWORD)
    toolkit = tmp_path / ".chaostoolkit"
    toolkit.mkdir()
    context = certificates.server_context()
    with (
        HttpDouble(everywhere) as double,
        mail_server(Post(password=PASSWORD), starttls=context) as post,
    ):
        (tmp_path / "url").write_text(double.url + HOOK)
        (toolkit / "settings.yaml").write_text(
            json.dumps({"notifications": [{"type": "http", "url": f"{double.url}/toolkit"}]})
        )
        url = {"url_file": str(tmp_path / "url"), "when": "always"}
        env = configured(tmp_path, {
            "hook": {"type": "http", **url, "secret_env": "KEY_OF_A_TEST"},
            "ops": {"type": "slack", **url},
            "cards": {"type": "teams", **url},
            "bot": {"type": "slack", "token_env": "TOKEN_OF_A_TEST", "channel": "C1",
                    "url": f"{double.url}/api", "when": "always"},
            "mail": {"type": "email", "host": "127.0.0.1", "port": post.port,
                     "ca_file": str(certificates.authority),
                     "username": "chaos", "password_file": str(tmp_path / "password"),
                     "sender": "a@example.com", "to": ["b@example.com"], "when": "always"},
            "other": {"type": "http", **url, "tags": ["team:none"]},
        })  # fmt: skip
        ran = sloguard("run", experiment(tmp_path), home=tmp_path, env=env)
        assert ran.code == 0, ran.err
        listed = sloguard("outbox", "list", "--all", "-o", "json", home=tmp_path, env=env).json
    assert {(m["channel"], m["error"]) for m in listed if m["state"] != "delivered"} == set()
    channels = [
        "chaostoolkit:1",
        "email:mail",
        "http:hook",
        "slack:bot",
        "slack:ops",
        "teams:cards",
    ]
    assert sorted(m["channel"] for m in listed) == sorted(channels * 2)
    hooked = [json.loads(r.body) for r in double.requests if b'"notice"' in r.body]
    assert [told["event"] for told in hooked] == ["run-started", "run-completed"]
    assert hooked[1]["document"]["outcome"] == "met"
    assert hooked[1]["notice"]["link"].startswith("https://slo.example.com/runs/")
    assert [mail["Subject"].partition(": ")[2] for mail in post.mails] == [
        "begins",
        "met. The steady state held before, during and after.",
    ]
    ours = [json.loads(r.body) for r in double.requests if r.path == "/toolkit"]
    assert [told["name"] for told in ours] == ["run-started", "run-completed"]
    assert ours[0]["payload"]["title"].startswith("A <quick> one")
    assert (ours[1]["payload"]["status"], ours[1]["payload"]["deviated"]) == ("completed", False)
    # The secrets of the channels are in nothing that is kept or said, and the experiment's in nothing sent.
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*.db*")).decode("latin-1")
    said = ran.out + ran.err + json.dumps(listed)
    sent = "".join(r.body.decode("latin-1") for r in double.requests) + str(
        [str(m) for m in post.mails]
    )
    for secret in (HOOK, KEY, TOKEN, PASSWORD):
        assert secret not in kept
        assert secret not in said
        assert secret not in sent
    for request in double.requests:
        assert OWN not in request.body.decode("latin-1"), (request.path, request.body)
    assert OWN not in kept + sent
    assert "*****" in sent


def test_a_channel_that_says_nothing_holds_up_no_end_and_is_told_later(tmp_path: Path) -> None:
    answers = [silence]
    with HttpDouble(lambda _: answers[0] if answers else reply("", status=204)) as double:
        channel = {"type": "http", "url": double.url + HOOK, "deadline": "1s"}
        env = configured(tmp_path, {"hook": channel})
        ran = sloguard("run", experiment(tmp_path), home=tmp_path, env=env)
        assert ran.code == 0, ran.err
        assert "met: " in ran.out
        assert "1 message to http:hook wait" in ran.err
        answers.clear()
        assert sloguard("outbox", "retry", "--all", home=tmp_path, env=env).code == 0
        assert sloguard("outbox", "flush", home=tmp_path, env=env).code == 0
    told = [json.loads(r.body)["event"] for r in double.requests]
    assert told[-1] == "run-completed"


def test_only_when_something_must_be_done(tmp_path: Path) -> None:
    with HttpDouble(everywhere) as double:
        env = configured(
            tmp_path, {"hook": {"type": "http", "url": double.url, "when": "action-needed"}}
        )
        assert sloguard("run", experiment(tmp_path), home=tmp_path, env=env).code == 0
        assert double.requests == []
        file = experiment(tmp_path, command="echo broken > state")
        document = json.loads(file.read_text())
        probe = document["steady-state-hypothesis"]["probes"][0]
        probe["provider"] = {"type": "process", "path": "sh", "arguments": ["-c", "test ! -e state"],
                             "timeout": 20}  # fmt: skip
        file.write_text(json.dumps(document))
        ran = sloguard("run", file, home=tmp_path, env=env, cwd=tmp_path)
        assert ran.code == 10, (ran.out, ran.err)
    (request,) = double.requests
    assert json.loads(request.body)["event"] == "run-deviated"


def test_a_validation_that_fails_is_told_by_name_once(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("title: x\nmethod: {}\n")
    with HttpDouble(everywhere) as double:
        channels = {
            "named": {"type": "http", "url": f"{double.url}/named", "events": ["validate-failed"]},
            "all": {"type": "http", "url": f"{double.url}/all", "when": "always"},
        }
        env = configured(tmp_path, channels)
        for _ in range(2):
            assert sloguard("validate", file, home=tmp_path, env=env).code == 2
    (request,) = double.requests
    assert request.path == "/named"
    told = json.loads(request.body)["notice"]
    assert "wrong.yaml" in told["headline"]
    assert "'description' is missing" in told["reason"]
