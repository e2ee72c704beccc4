"""Experiments that want more than the operator has allowed, carried out by a real worker of a real service."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sloguard.ports.service import JobState
from sloguard.service.urls import UrlRules
from tests.support.calling import carry_out
from tests.support.service_lab import ServiceLab

pytestmark = pytest.mark.integration


class Shop(ThreadingHTTPServer):
    """An allowed address, which sends whoever asks to wherever its path says."""

    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        away = self.path.startswith("/go?")
        self.send_response(307 if away else 200)
        if away:
            self.send_header("Location", self.path.removeprefix("/go?"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    made = Shop()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def probing(name: str, provider: dict[str, Any], **more: Any) -> dict[str, Any]:
    probe = {"type": "probe", "name": name, "tolerance": 200, "provider": provider}
    return {
        "title": name,
        "description": "It wants more than it may.",
        "phases": {"before": "0s", "during": "0s", "after": "0s"},
        "steady-state-hypothesis": {"title": "x", "probes": [probe]},
        "method": [],
        **more,
    }


METADATA = [
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00:ec2::254]/latest",
    "http://2852039166/latest",
    "http://0xa9fea9fe/latest",
    "http://0xa9.0xfe.0xa9.0xfe/latest",
    "http://0251.0376.0251.0376/latest",
    "http://169.254.43518/latest",
    "http://[::ffff:169.254.169.254]/latest",
    "http://[64:ff9b::a9fe:a9fe]/latest",
    "http://[2002:a9fe:a9fe::]/latest",
    "http://169.254.169.254.:80/latest",
    "http://169。254。169。254/latest",
    "http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/latest",
]


@pytest.mark.parametrize("url", METADATA)
def test_no_spelling_and_no_redirect_leads_to_a_metadata_service(shop: Shop, url: str) -> None:
    everything = UrlRules(["*"])
    direct = carry_out({"type": "http", "url": url, "timeout": 60}, allow_url=everything)
    if not url.isascii():
        # Such spellings do not get as far as a name.
        assert "is not a valid IDNA label" in str(direct.error), direct
        return
    assert "may not be called" in str(direct.error), direct
    before = len(shop.seen)
    led = carry_out({"type": "http", "url": f"{shop.url}/go?{url}"}, allow_url=everything)
    assert "may not be called" in str(led.error), led
    assert len(shop.seen) == before + 1


@pytest.mark.parametrize("name", ["metadata.test", "both.test"])
def test_a_name_that_leads_there_is_as_good(name: str) -> None:
    answers = {
        "metadata.test": ["169.254.169.254"],
        "both.test": ["203.0.113.1", "fd00:ec2::254"],
    }
    rules = UrlRules(["http://*.test"], lambda host: answers[host])
    assert "metadata" in str(rules(f"http://{name}/latest"))


def test_a_worker_calls_and_runs_what_the_operator_has_allowed_and_nothing_else(
    tmp_path: Path, shop: Shop
) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    secret = closed.getsockname()[1]
    marker = tmp_path / "was-here"
    lab = ServiceLab(
        tmp_path,
        str(tmp_path / "runs.db"),
        {"SERVE_ALLOW_URLS": f"{shop.url}/*", "SERVE_CONCURRENCY": "4"},
    )
    # This directory allows nothing beyond sloguard's own faults and probes.
    lab.settings["SERVE_ALLOW"] = ""
    harm = f"touch {marker}"
    asked = {
        "fine": {"type": "http", "url": f"{shop.url}/fine"},
        "elsewhere": {"type": "http", "url": f"http://127.0.0.1:{secret}/"},
        "led": {"type": "http", "url": f"{shop.url}/go?http://127.0.0.1:{secret}/"},
        "metadata": {"type": "http", "url": f"{shop.url}/go?http://169.254.169.254/latest"},
    }
    for name, provider in asked.items():
        lab.write(name, probing(name, provider))
    lab.write(
        "filled",
        probing(
            "filled",
            {"type": "http", "url": "${where}"},
            configuration={"where": f"{shop.url}/fine"},
        ),
    )
    forbidden = {
        "shell": probing("shell", {"type": "process", "path": "sh", "arguments": ["-c", harm]}),
        "code": probing(
            "code",
            {"type": "python", "module": "os", "func": "system", "arguments": {"command": harm}},
        ),
        "control": probing(
            "control",
            {"type": "http", "url": f"{shop.url}/fine"},
            controls=[{"name": "c", "provider": {"type": "python", "module": "antigravity"}}],
        ),
        "inside": probing(
            "inside",
            {"type": "python", "module": "sloguard.faults.processes", "func": "subprocess.run"},
        ),
        "configured": probing(
            "configured",
            {"type": "http", "url": f"{shop.url}/fine"},
            configuration={
                "x": {
                    "type": "probe",
                    "name": "x",
                    "provider": {"type": "process", "path": "sh", "arguments": ["-c", harm]},
                }
            },
        ),
    }
    # They are put into the queue as if the desk had let them pass.
    for name, document in forbidden.items():
        lab.write(name, document)
    lab.catalogue = type(lab.catalogue)(
        [lab.experiments], allow={str(lab.experiments): "process+python"}, slos=lab.slos
    )
    lab.desk = type(lab.desk)(
        jobs=lab.opened, runs=lab.opened, catalogue=lab.catalogue, new_id=lab.desk.new_id
    )
    ids = {name: lab.submit(name) for name in (*asked, *forbidden)}
    ids["filled"] = lab.submit("filled", variables={"where": f"http://127.0.0.1:{secret}/"})
    try:
        lab.start()
        lab.until_over(*ids.values())
        for name in forbidden:
            job = lab.job(ids[name])
            assert job.state == JobState.FAILED, (name, job)
            assert "permission" in job.detail or "allow" in job.detail, (name, job.detail)
        shown = {name: lab.opened.run(ids[name]) for name in (*asked, "filled")}
        assert shown["fine"].outcome == "met", lab.said()
        for name in ("elsewhere", "led", "metadata", "filled"):
            told = json.dumps([str(a.error) for a in shown[name].activities])
            told += shown[name].reason
            assert shown[name].outcome != "met", name
            assert "may not be called" in told, (name, told)
    finally:
        lab.close()
    assert not marker.exists()
    closed.setblocking(False)
    with pytest.raises(BlockingIOError):
        closed.accept()
    closed.close()
