"""A client has so long for all of a request, however it hands out its pieces."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from sloguard.web.access.browsers import LARGEST_FORM
from sloguard.web.patience import ANSWER, SMALL, Hurried, is_enough
from tests.support.patience import PATIENCE, SOON


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_what_comes_in_time_is_read(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    hurried = Hurried(ours, time.monotonic() + PATIENCE)
    hurried.setblocking(True)
    theirs.sendall(b"abc")
    assert hurried.recv(2) == b"ab"
    assert hurried.recv(2, socket.MSG_PEEK) == b"c"
    assert ours.gettimeout() == ANSWER
    hurried.sendall(b"x")
    assert theirs.recv(1) == b"x"
    hurried.setblocking(False)
    assert ours.gettimeout() == 0.0
    assert hurried.fileno() == ours.fileno()


def test_silence_ends_at_the_deadline(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    hurried = Hurried(ours, time.monotonic() + 0.05)
    hurried.setblocking(True)
    with pytest.raises(ConnectionResetError, match="too long"):
        hurried.recv(1)
    # From then on not even what is there.
    theirs.sendall(b"late")
    with pytest.raises(ConnectionResetError, match="too long"):
        hurried.recv(1)
    # But the beginning of the next request is not part of the last one.
    hurried.setblocking(False)
    assert hurried.at_hand(9) == b"late"
    with pytest.raises(BlockingIOError):
        hurried.at_hand(9)


def test_a_piece_now_and_then_does_not_prolong_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    hurried = Hurried(ours, time.monotonic() + 1.0)
    hurried.setblocking(True)
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.01):
            theirs.sendall(b".")

    dripping = threading.Thread(target=drip)
    dripping.start()
    begun, pieces = time.monotonic(), 0
    try:
        while time.monotonic() < hurried.until:
            try:
                pieces += len(hurried.recv(1))
            except ConnectionResetError:
                break
    finally:
        over.set()
        dripping.join()
    assert pieces
    assert time.monotonic() - begun < SOON


def test_a_shorter_limit_of_somebody_else_stays(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = pair
    hurried = Hurried(ours, time.monotonic() + 60)
    hurried.settimeout(0.02)
    with pytest.raises(TimeoutError):
        hurried.recv(1)


@pytest.mark.parametrize(
    ("begun", "enough"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\n", False),
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", False),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", True),
        (b"POST / HTTP/1.1\r\ncontent-length:3\r\n\r\nabcGET", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\n\r\nContent-Length: 9\r\n", True),
        (b"a" * 200_000, True),
    ],
)
def test_a_thread_begins_with_the_head_and_a_small_body(begun: bytes, enough: bool) -> None:
    assert is_enough(begun) == enough


def test_every_form_is_small() -> None:
    assert LARGEST_FORM <= SMALL
