"""One HTTP call: a deadline, no redirects, and errors that hold no address but the host's."""

from __future__ import annotations

import queue
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sloguard.core.masking import Masker
from sloguard.core.visible import visible
from sloguard.notifiers.secrets import masker
from sloguard.ports.outbox import DeliveryError

T = TypeVar("T")

#: Statuses below 500 that another attempt may get past.
_PASSING = frozenset({408, 409, 421, 423, 425, 429})
_MOST_BYTES, _EXCERPT = 16 << 10, 200
#: So much longer than its own deadlines a call may take before it is left to itself, seconds.
_SLACK = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a server is reached. ``deadline``: of a whole call, seconds."""

    verify: bool = True
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    deadline: float = 15.0

    def context(self) -> ssl.SSLContext:
        """For TLS. Raises DeliveryError where a file cannot be used."""
        try:
            made = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                made.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ValueError) as error:
            names = ", ".join(str(f) for f in (self.ca_file, self.cert_file, self.key_file) if f)
            why = getattr(error, "strerror", None) or type(error).__name__
            raise DeliveryError(f"certificates cannot be used ({names}): {why}") from None
        if not self.verify:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. ``text``: the beginning of the body, without secrets."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


def host_of(url: str) -> str:
    """The only part of an address that may be shown. Raises DeliveryError where it is none."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise DeliveryError("the address is not a URL", permanent=True) from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise DeliveryError(
            "the address must begin with http:// or https:// and name a host", permanent=True
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host if port is None else f"{host}:{port}"


def call(
    url: str,
    body: bytes | None,
    access: Access,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
) -> Answer:
    """Send a request; the answer, if it is one of success. Raises DeliveryError for anything else."""
    where, hidden = host_of(url), masker(secrets, [url])
    answer = bounded(
        lambda: _sent(url, body, access, method, dict(headers or {}), where, hidden),
        access.deadline,
        where,
    )
    if answer.status < 300:
        return answer
    raise refused(where, answer)


def refused(where: str, answer: Answer) -> DeliveryError:
    """The error of an answer that is none of success."""
    said = f": {answer.text}" if answer.text else ""
    if answer.status < 400:
        told = f"{where} answers {answer.status}, a redirect, which is not followed"
        return DeliveryError(told, permanent=True)
    return DeliveryError(
        f"{where} answers {answer.status}{said}",
        permanent=answer.status < 500 and answer.status not in _PASSING,
        retry_after=retry_after(answer.headers),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks for, as a number or a date."""
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if not value:
        return None
    try:
        return max(float(value), 0.0) if float(value) < 1e9 else None
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def bounded(work: Callable[[], T], seconds: float, where: str) -> T:
    """What ``work`` gives, if it does within ``seconds``; else it is left to end by itself.

    The libraries' own timeouts count from byte to byte: whoever sends one now and then holds them forever.
    """
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
            done.put((None, error))

    threading.Thread(target=run, name=f"calling {where}", daemon=True).start()
    try:
        value, error = done.get(timeout=seconds + _SLACK)
    except queue.Empty:
        raise DeliveryError(f"{where} did not answer within {seconds:g}s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # set wherever there was no error


def _sent(
    url: str,
    body: bytes | None,
    access: Access,
    method: str,
    headers: dict[str, str],
    where: str,
    hidden: Masker,
) -> Answer:
    from requests import Session
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError, InsecureRequestWarning
    from urllib3.util import Timeout

    from sloguard import __version__

    session = Session()
    if access.cert_file:
        pair = (str(access.cert_file), str(access.key_file)) if access.key_file else None
        session.cert = pair or str(access.cert_file)
    headers.setdefault("User-Agent", f"sloguard/{__version__}")
    try:
        with warnings.catch_warnings():
            # Whoever turns the check off has been told what it means where it is set.
            warnings.simplefilter("ignore", InsecureRequestWarning)
            with (
                session,
                session.request(
                    method,
                    url.strip(),
                    data=body,
                    headers=headers,
                    # requests takes urllib3's own Timeout, which alone knows a total.
                    timeout=Timeout(total=access.deadline),  # type: ignore[arg-type]
                    # Of the request and not of the session, before whose the environment's bundle comes.
                    verify=str(access.ca_file)
                    if access.verify and access.ca_file
                    else access.verify,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                text = response.raw.read(_MOST_BYTES, decode_content=True) or b""
                told = excerpt(text.decode("utf-8", "replace"), hidden)
                return Answer(response.status_code, told, dict(response.headers))
    except (RequestException, HTTPError, OSError, ValueError) as error:
        raise DeliveryError(f"{where} {trouble(error, access.deadline)}") from None


def excerpt(text: str, hidden: Masker) -> str:
    """The beginning of what a server said, in one line, without secrets."""
    line = " ".join(visible(hidden.text(text)).split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"


def trouble(error: BaseException, deadline: float) -> str:
    """What went wrong on the way, in words that hold no part of an address."""
    from requests.exceptions import SSLError, Timeout
    from urllib3.exceptions import TimeoutError as PoolTimeout

    chain: list[Any] = [error]
    while chain[-1] is not None and len(chain) < 8:
        last = chain[-1]
        reason = getattr(last, "reason", None)
        following = reason if isinstance(reason, BaseException) else None
        chain.append(following or last.__cause__ or last.__context__)
    chain = [one for one in chain if one is not None]
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"has a certificate that is not trusted: {one.verify_message}"
    if any(isinstance(one, SSLError | ssl.SSLError) for one in chain):
        return "does not speak TLS as it should"
    for one in chain:
        # urllib3 counts a refused connection among its timeouts: what the system says comes first.
        if isinstance(one, OSError) and one.strerror and not isinstance(one, TimeoutError):
            return f"could not be reached: {one.strerror}"
    if any(isinstance(one, Timeout | PoolTimeout | TimeoutError) for one in chain):
        return f"did not answer within {deadline:g}s"
    return f"could not be reached ({type(error).__name__})"
