"""A service that is told to stop, or to begin anew, while clients do not stop asking."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.support.served import PATIENCE, Served, serving

pytestmark = pytest.mark.integration


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, "--store", "runs.db", environ={"SLOGUARD_SERVE_RATE_LIMIT": "0"}) as it:
        it.wait_until_ready()
        yield it


@dataclass
class Hammer:
    """Clients that ask without a pause, with connections of one request each and with kept ones."""

    port: int
    ends: Counter[str] = field(default_factory=Counter)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def answered(self) -> int:
        return self.ends["200"]

    @property
    def cut(self) -> dict[str, int]:
        return {k: v for k, v in self.ends.items() if k not in ("200", "refused", "said goodbye")}

    def wait_for(self, more: int) -> None:
        goal, deadline = self.answered + more, time.monotonic() + PATIENCE
        while self.answered < goal:
            assert time.monotonic() < deadline, self.ends
            time.sleep(0.005)

    def ask(self, *, keep: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.done.is_set():
            fresh = connection is None
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(
                        "127.0.0.1", self.port, timeout=PATIENCE
                    )
                    connection.connect()
            except ConnectionRefusedError:
                self.ends["refused"] += 1
                connection = None
                self.done.wait(0.01)
                continue
            except OSError as error:
                self.ends[f"connecting: {error!r}"] += 1
                connection = None
                continue
            try:
                connection.request(
                    "GET", "/healthz", headers={} if keep else {"Connection": "close"}
                )
                answer = connection.getresponse()
                answer.read()
                self.ends[str(answer.status)] += 1
                if answer.getheader("Connection") == "close":
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.ends[f"{'fresh' if fresh else 'kept'}: {error!r}"] += 1
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


@contextmanager
def hammered(port: int) -> Iterator[Hammer]:
    hammer = Hammer(port)
    clients = [
        threading.Thread(target=hammer.ask, kwargs={"keep": number % 2 == 0}) for number in range(8)
    ]
    for client in clients:
        client.start()
    try:
        yield hammer
    finally:
        hammer.done.set()
        for client in clients:
            client.join(PATIENCE)


def test_sigterm_cuts_nobody_off(served: Served) -> None:
    with hammered(served.port) as hammer:
        hammer.wait_for(100)
        code, alive = served.end(signal.SIGTERM)
        hammer.wait_for(0)
    assert (code, alive) == (0, []), served.said()
    assert hammer.cut == {}, hammer.ends
    assert hammer.ends["refused"] > 0, "it goes on hammering after the end"
    assert "Traceback" not in served.said()


def test_who_has_connected_and_was_not_accepted_yet_is_answered(served: Served) -> None:
    # Its processes stand still, so everybody waits in the system's queue.
    workers = served.web_processes()
    for worker in workers:
        worker.suspend()
    waiting = [socket.create_connection(("127.0.0.1", served.port), PATIENCE) for _ in range(20)]
    for connection in waiting:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    served.process.send_signal(signal.SIGTERM)
    # The parent closes the door first: from then on connecting does not succeed any more.
    _until_nobody_gets_in(served.port)
    for worker in workers:
        worker.resume()
    answers = [connection.makefile("rb").read() for connection in waiting]
    for connection in waiting:
        connection.close()
    assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 20
    assert served.process.wait(PATIENCE) == 0, served.said()


def _until_nobody_gets_in(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            # Where somebody listens, the kernel connects at once, however busy the machine is.
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            return
    raise AssertionError("the door stays open")


def test_a_second_sigterm_does_not_hurry_it(served: Served) -> None:
    slow = socket.create_connection(("127.0.0.1", served.port), PATIENCE)
    # A request whose body comes late is under way.
    head = b"POST /api/v1/experiments/validate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    slow.sendall(head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{")
    served.process.send_signal(signal.SIGTERM)
    _until_nobody_gets_in(served.port)
    served.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    slow.sendall(b"}")
    answer = slow.makefile("rb").read()
    slow.close()
    assert answer.startswith(b"HTTP/1.1 "), served.said()
    assert served.process.wait(PATIENCE) == 0, served.said()


def test_sighup_replaces_its_processes_and_nobody_notices(served: Served) -> None:
    before = {p.pid for p in served.web_processes()}
    dispatcher = served.dispatcher()
    with hammered(served.port) as hammer:
        hammer.wait_for(50)
        served.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while before & {p.pid for p in served.web_processes()}:
            assert time.monotonic() < deadline, served.said()
            time.sleep(0.05)
        hammer.wait_for(50)
    assert set(hammer.ends) == {"200"}, hammer.ends
    assert served.dispatcher() == dispatcher
    assert len(served.web_processes()) == 2
    assert "Traceback" not in served.said()


def test_ctrl_c_in_a_terminal_cuts_nobody_off(served: Served) -> None:
    # It reaches all processes of the group.
    family = [served.process.pid, *(p.pid for p in served.web_processes())]
    with hammered(served.port) as hammer:
        hammer.wait_for(50)
        for pid in (*family[1:], *family[:1], served.dispatcher()):
            os.kill(pid, signal.SIGINT)
        code = served.process.wait(PATIENCE)
        hammer.wait_for(0)
    assert (code, hammer.cut) == (0, {}), (hammer.ends, served.said())
    assert not any(psutil.pid_exists(pid) for pid in family[1:])
