"""Telling a target that is away (refused, lost, silent) from every other error."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

_AWAY = {
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.EPIPE,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.ETIMEDOUT,
}
#: Timeouts and lost connections of well-known clients that do not derive from the built-in ones.
_AWAY_NAMES = {
    "ConnectTimeout",
    "ConnectTimeoutError",
    "NewConnectionError",
    "ReadTimeout",
    "ReadTimeoutError",
    "RemoteDisconnected",
    "ServerDisconnectedError",
}


def is_unreachable(error: BaseException) -> bool:
    """Whether an exception, or what caused it, is a refused or lost connection or a timeout.

    A name that does not resolve and a certificate that does not fit are not: they may as well be a
    mistake in the experiment, and prove nothing about the target.
    """
    chain = list(causes(error))
    if any(isinstance(e, socket.gaierror | ssl.SSLCertVerificationError) for e in chain):
        return False
    if any(type(e).__name__ == "NameResolutionError" for e in chain):
        return False
    return any(_away(e) for e in chain)


def _away(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in _AWAY:
        return True
    return type(error).__name__ in _AWAY_NAMES


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that stands behind it: causes, contexts, and exceptions in its arguments."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < 50:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        context = None if current.__suppress_context__ else current.__context__
        linked = (current.__cause__, context, getattr(current, "reason", None))
        waiting.extend(e for e in (*linked, *current.args) if isinstance(e, BaseException))
