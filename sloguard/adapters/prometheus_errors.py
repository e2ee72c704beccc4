"""What went wrong with Prometheus, as one of the errors of the port, in the server's own words."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

import msgspec

from sloguard.adapters.prometheus_limits import is_busy, limit_of
from sloguard.ports import (
    AnswerTooLarge,
    BadAnswer,
    BadQuery,
    MetricsBusy,
    MetricsError,
    MetricsRefused,
    MetricsUnreachable,
)

#: Status codes that may be gone in a moment.
PASSING = frozenset({429, 502, 503, 504})
SHOWN = 400

_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_CERTIFICATE_ASKED = re.compile("certificate required|bad certificate|handshake failure", re.I)


class ApiError(msgspec.Struct, frozen=True):
    """The error part of an answer of Prometheus's API."""

    status: str
    error: str = ""
    errorType: str = ""  # noqa: N815 - the API's name


def api_error(body: bytes | bytearray) -> ApiError | None:
    """The error that an answer speaks of; None if it is no such answer."""
    try:
        found = msgspec.json.decode(body, type=ApiError)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.status == "error" else None


def is_html(content_type: str, body: bytes | bytearray) -> bool:
    """Whether this is a web page: a login, a proxy's error, another program."""
    return "html" in content_type.lower() or bytes(body[:64]).lstrip().startswith(b"<")


def shorten(text: str, limit: int = SHOWN) -> str:
    """One line, cut short."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def excerpt(content_type: str, body: bytes | bytearray) -> str:
    """What an answer that is not the API's says, in one short line."""
    if is_html(content_type, body):
        title = _TITLE.search(bytes(body[:65536]))
        named = f" titled '{shorten(title[1].decode('utf-8', 'replace'), 80)}'" if title else ""
        return f"a web page{named}"
    text = shorten(bytes(body[:2048]).decode("utf-8", "replace"), 200)
    return f"'{text}'" if text else "an empty answer"


def is_passing(status: int, body: bytes | bytearray) -> bool:
    """Whether asking again may help: not where the query itself took too long."""
    error = api_error(body)
    if is_busy(status, error.error if error else excerpt("", body)):
        return True
    return status in PASSING and not (error and _is_too_large(error))


def answer_error(
    where: str, status: int, content_type: str, body: bytes | bytearray
) -> MetricsError:
    """The error for an answer that is not 200, or 200 with an error inside."""
    error = api_error(body)
    if error is None:
        return _foreign_error(where, status, content_type, body)
    said = shorten(error.error) or "no message"
    text = f"{where} answered {status} {error.errorType or 'error'}: {said}"
    if status == 200:
        return BadAnswer(f"{text}; an API says so with another status: is a cache in between?")
    if status in (401, 403):
        return MetricsRefused(f"{text}; {_CREDENTIALS}")
    if is_busy(status, error.error):
        return MetricsBusy(f"{text}; {_LESS}")
    if _is_too_large(error) or status == 413:
        found = limit_of(error.error)
        return AnswerTooLarge(f"{text}; {found.helps if found else _NARROWER}")
    if status in (400, 422):
        return BadQuery(text)
    if status == 404:
        return BadAnswer(f"{text}; {_ADDRESS}")
    return (MetricsUnreachable if status in PASSING else MetricsError)(text)


_CREDENTIALS = "check the user and password, token or certificate, and the tenant header"
_ADDRESS = "check the address and its path prefix"
_NARROWER = "ask for fewer series, a shorter window or a larger step"
_LESS = "it is asked too much at once: lower prometheus.concurrency, or raise its limit"


def _is_too_large(error: ApiError) -> bool:
    return error.errorType == "timeout" or limit_of(error.error) is not None


def _foreign_error(
    where: str, status: int, content_type: str, body: bytes | bytearray
) -> MetricsError:
    """For what does not speak the API: proxies, logins, other programs."""
    said = excerpt(content_type, body)
    text = f"{where} answered {status} with {said}"
    if status in (401, 403):
        return MetricsRefused(f"{text}; {_CREDENTIALS}")
    if is_busy(status, said):
        return MetricsBusy(f"{text}; {_LESS}")
    if status in PASSING:
        return MetricsUnreachable(text)
    if is_html(content_type, body) or status in (200, 404, 405):
        return BadAnswer(f"{text}, not as Prometheus's API does; {_ADDRESS}")
    found = limit_of(said)
    if status == 413 or found is not None:
        return AnswerTooLarge(f"{text}; {found.helps if found else _NARROWER}")
    if status in (400, 422):
        return BadQuery(text)
    return MetricsError(text)


def redirect_error(where: str, status: int, location: str) -> BadAnswer:
    """A redirect is not followed: it leads to a login, or credentials to where they do not belong."""
    target = location.partition("?")[0].partition("#")[0]
    # What stands before an @ may be a password.
    target = re.sub(r"//[^/@]*@", "//", target)
    return BadAnswer(
        f"{where} redirects ({status}) to {shorten(target, 200) or 'nowhere'}; if that is a login, give "
        "credentials; if Prometheus lives there, give that address"
    )


def connection_problem(error: BaseException) -> tuple[str, bool, bool]:
    """Why a connection failed: (in words, trying again may help, it is the credentials)."""
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted: {cause.verify_message or cause.reason}"
            return f"{reason}; name the CA that signed it", False, False
        if isinstance(cause, ssl.SSLEOFError):
            return "TLS was cut off; it may ask for a client certificate", True, False
        if isinstance(cause, ssl.SSLError):
            if _CERTIFICATE_ASKED.search(str(cause).replace("_", " ")):
                return "it asks for a client certificate that it accepts", False, True
            return (
                f"TLS failed: {shorten(getattr(cause, 'reason', '') or str(cause), 120)}",
                False,
                False,
            )
        if isinstance(cause, socket.gaierror):
            return f"its name is not known: {cause.strerror}", True, False
    return _transient_problem(chain), True, False


def _transient_problem(chain: list[BaseException]) -> str:
    names = {type(cause).__name__ for cause in chain}
    if "RemoteDisconnected" in names:
        return "the connection was closed without an answer"
    if "ReadTimeoutError" in names:
        return "no complete answer in time"
    for cause in chain:
        if isinstance(cause, TimeoutError):
            return shorten(cause.strerror or str(cause), 160).lower()
        if isinstance(cause, OSError) and isinstance(cause.strerror, str):
            return cause.strerror.lower()
    if "ProtocolError" in names:
        return "the answer broke off"
    last = chain[-1]
    return shorten(f"{type(last).__name__}: {last}", 160)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and everything that caused it, as urllib3 and requests nest them; outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [getattr(current, "reason", None), *current.args]
        waiting += [current.__cause__, current.__context__]
