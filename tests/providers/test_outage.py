"""Which errors mean that a target is away."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from sloguard.providers.outage import is_unreachable


class ReadTimeout(Exception):
    """As requests has one."""


class NameResolutionError(Exception):
    """As urllib3 has one."""


def caused(outer: Exception, inner: BaseException, how: str) -> Exception:
    try:
        try:
            raise inner
        except BaseException as error:
            if how == "from":
                raise outer from error
            if how == "from none":
                raise outer from None
            raise outer  # noqa: B904 - without a word, as careless code does
    except Exception as error:  # noqa: BLE001 - any of the kinds below
        return error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionRefusedError(), True),
        (ConnectionResetError(), True),
        (BrokenPipeError(), True),
        (TimeoutError(), True),
        (OSError(errno.EHOSTUNREACH, "No route to host"), True),
        (OSError(errno.ENOSPC, "No space left"), False),
        (ReadTimeout(), True),
        (ValueError("timeout"), False),
        (socket.gaierror(-2, "Name or service not known"), False),
        (ssl.SSLCertVerificationError("no"), False),
        (caused(RuntimeError("x"), ConnectionRefusedError(), "from"), True),
        (caused(RuntimeError("x"), ConnectionRefusedError(), "in"), True),
        (caused(RuntimeError("x"), ConnectionRefusedError(), "from none"), False),
        (caused(ConnectionError("x"), NameResolutionError(), "from"), False),
        (RuntimeError("wrapped", ConnectionRefusedError()), True),
    ],
)
def test_a_target_that_is_away(error: Exception, away: bool) -> None:
    assert is_unreachable(error) is away


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert is_unreachable(one) is False
