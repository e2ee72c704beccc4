"""A real service, a run that waits, a message with a link, and somebody who opens it in a browser of theirs."""

from __future__ import annotations

import http.cookiejar
import json
import re
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_double import HttpDouble, reply
from tests.support.served import PATIENCE, Served, serving

pytestmark = pytest.mark.integration

#: What the settings say; the link leads there, and the test to the port that the service got.
BASE = "http://localhost:1"


def experiment(trace: Path) -> dict[str, Any]:
    touch = {"type": "process", "path": "touch", "arguments": [str(trace)]}
    fine = {"type": "process", "path": "true"}
    return {
        "title": "Touch a file",
        "description": "Once somebody agrees.",
        "phases": {"before": "0s", "during": "0s", "after": "0s"},
        "steady-state-hypothesis": {
            "title": "All is well",
            "probes": [{"type": "probe", "name": "fine", "tolerance": 0, "provider": fine}],
        },
        "method": [{"type": "action", "name": "touch it", "provider": touch}],
        "rollbacks": [],
    }


def post(served: Served, path: str, body: Any) -> Any:
    asked = urllib.request.Request(
        served.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def read(browser: urllib.request.OpenerDirector, place: str, form: bytes | None = None) -> str:
    with browser.open(place, form, timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def linked(double: HttpDouble) -> str:
    """The address that was sent, once it is."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for request in double.requests:
            told = json.loads(request.body)
            if told["event"] == "approval-asked":
                return str(told["notice"]["link"])
        time.sleep(0.05)
    raise AssertionError("nobody is asked")


def test_a_link_approves_a_run_of_the_service(tmp_path: Path) -> None:
    trace = tmp_path / "touched"
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "touch.json").write_text(json.dumps(experiment(trace)))
    with HttpDouble(lambda _: reply("", status=204)) as double:
        (tmp_path / "sloguard.yaml").write_text(
            json.dumps(
                {
                    "serve": {"base_url": BASE, "allow": {"experiments": "process"}},
                    "approvals": {"directories": ["experiments"]},
                    "notify": {"channels": {"hook": {"type": "http", "url": double.url}}},
                }
            )
        )
        with serving(tmp_path) as served:
            served.wait_until_ready()
            run = post(served, "/api/v1/runs", {"experiment": "touch"})["run"]
            link = linked(double)
            assert link.startswith(f"{BASE}/approvals/{run}?token=")
            place = link.replace(BASE, served.url)
            browser = urllib.request.build_opener(
                urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
            )
            page = read(browser, place)
            assert "touch it" in page
            assert json.loads(served.get(f"/api/v1/runs/{run}/approval")[1])["state"] == "waiting"
            assert not trace.exists()
            names = ("csrf_token", "token", "plan")
            form = {
                name: re.search(f'name="{name}" value="([^"]+)"', page)[1]  # type: ignore[index]  # it is there
                for name in names
            }
            given = urllib.parse.urlencode({**form, "answer": "approve", "name": "Ada"}).encode()
            done = read(browser, place.partition("?")[0], given)
            assert "approved by link:http:hook" in done
            with pytest.raises(urllib.error.HTTPError) as again:
                read(browser, place.partition("?")[0], given)
            assert again.value.code == 409
            again.value.close()
            status, body = served.get(f"/api/v1/runs/{run}/verdict?wait=60s")
            verdict = json.loads(body)
            assert (status, verdict["outcome"]) == (200, "met"), served.said()
            assert trace.exists()
            assert verdict["approval"]["voices"][0]["by"] == "link:http:hook"
            assert verdict["approval"]["voices"][0]["reason"] == "Ada"
            token = form["token"]
            served.end(signal.SIGTERM)
            assert f"/approvals/{run}" in served.said(), "it logs what is asked"
            assert token not in served.said()
            kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*.db*"))
            assert token.encode() not in kept
