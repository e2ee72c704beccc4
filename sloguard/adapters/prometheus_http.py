"""requests' session, made fit for Prometheus: one deadline for all of a call, bounded retries, bodies
read once into one buffer, and every failure one of the port's errors, without a secret in it."""

from __future__ import annotations

import os
import time
import warnings
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.auth import AuthBase, _basic_auth_str
from requests.exceptions import RequestException
from requests.utils import get_environ_proxies
from urllib3.exceptions import DecodeError, HTTPError, InsecureRequestWarning
from urllib3.util import Timeout

from sloguard.adapters.prometheus_errors import (
    answer_error,
    api_error,
    connection_problem,
    is_html,
    is_passing,
    redirect_error,
)
from sloguard.adapters.prometheus_fanout import Fanout
from sloguard.adapters.prometheus_settings import PrometheusSettings
from sloguard.adapters.prometheus_sockets import SpanAdapter
from sloguard.core.masking import Masker
from sloguard.ports import (
    AnswerTooLarge,
    BadAnswer,
    MetricsBusy,
    MetricsError,
    MetricsRefused,
    MetricsUnreachable,
)

#: How much of a body is read at once: less than what the C library maps anew for every piece.
PIECE = 1 << 16
#: Between two tries at a server that has too much to do, at most so long unless it asks for more, seconds.
LONGEST_PAUSE = 4.0


class Deadline:
    """A moment by which all must be done."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left, 0 when it has passed."""
        return max(self._ends - time.monotonic(), 0.0)


class Authorization(AuthBase):
    """Basic, or a bearer token; a token file is read for every request, as it may change at any time."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        self.last_token = settings.token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        basic = self._settings.basic
        if basic:
            user, password = (part.encode("utf-8") for part in basic)
            request.headers["Authorization"] = _basic_auth_str(user, password)
        token = self._token()
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def _token(self) -> str:
        file = self._settings.token_file
        if file is None:
            return self._settings.token
        try:
            self.last_token = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise MetricsRefused(f"the token file {file} cannot be read: {reason}") from error
        if not self.last_token or not self.last_token.isprintable():
            raise MetricsRefused(f"the token file {file} holds no token")
        return self.last_token


class PrometheusSession(Session):
    """A session whose ``request`` answers within a deadline, or raises a MetricsError.

    A response that it gives has status 200, a body that is read, and no ``status: error`` inside.
    Any thread may call it; ``settings.concurrency`` requests are under way at once, others wait.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        super().__init__()
        self.settings = settings
        self.where = f"Prometheus at {settings.address}"
        self.authorization = Authorization(settings)
        self.fanout = Fanout(settings.concurrency)
        self.headers.update({"Accept": "application/json", "Accept-Encoding": settings.encoding})
        # What a query frontend has kept of the newest minutes may have been made before they were whole.
        self.headers.update({"User-Agent": "sloguard", "Cache-Control": "no-store"})
        self.headers.update(settings.headers)
        self.auth = self.authorization
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        # The environment is read once: requests would look it up for every request, and would let
        # ~/.netrc overrule the credentials given here.
        self.trust_env = False
        self.proxies = get_environ_proxies(settings.address)
        self.verify = _authorities(settings)
        if settings.cert_file:
            key = settings.key_file or settings.cert_file
            self.cert = (str(settings.cert_file), str(key))
        if not settings.verify:
            # It was asked for in as many words; a warning for every request says nothing new.
            warnings.filterwarnings("ignore", category=InsecureRequestWarning)
        self.use(settings.address)

    def use(self, address: str) -> None:
        """Reach this address (and what is below it) over connections that keep to deadlines."""
        for prefix in ("http://", "https://", address):
            self.mount(prefix, SpanAdapter(self.settings.concurrency))

    def get_redirect_target(self, resp: Response) -> None:
        """Redirects are never followed."""

    def request(  # type: ignore[override]  # requests lists twenty parameters by name
        self, method: str | bytes, url: str | bytes, **options: Any
    ) -> Response:
        """As ``requests.Session.request``; ``timeout`` (s, or a Deadline) bounds the whole call."""
        timeout = options.pop("timeout", None)
        deadline = timeout if isinstance(timeout, Deadline) else self.deadline(timeout)
        if method == "POST" and options.get("data") is None:
            # The client puts what it posts into the URL, where long queries do not fit.
            options["data"] = options.pop("params", None)
        options.update(stream=True, allow_redirects=False)
        try:
            return self._tried(method, url, deadline, options)
        except MetricsError as error:
            raise type(error)(self.masked(str(error))) from error.__cause__

    def deadline(self, seconds: float | None = None) -> Deadline:
        """A new deadline; None: the settings'."""
        return Deadline(self.settings.deadline if seconds is None else seconds)

    def masked(self, text: str) -> str:
        """The text without any secret of the settings."""
        return Masker([*self.settings.secrets, self.authorization.last_token]).text(text)

    def _tried(
        self, method: str | bytes, url: str | bytes, deadline: Deadline, options: dict[str, Any]
    ) -> Response:
        wait = self.settings.backoff
        tries, said = 0, ""
        last: MetricsError | None = None
        while True:
            entered = self.fanout.enter(deadline.left)
            if entered is None:
                raise self._not_asked(last, said, tries, deadline)
            tries += 1
            busy, pause = False, 0.0
            try:
                result, again, asked = self._once(method, url, deadline, options)
                busy, pause = isinstance(result, MetricsBusy), max(wait, asked)
            finally:
                self.fanout.leave(entered, busy=busy, wait=pause)
            if isinstance(result, Response):
                return result
            last = result
            if result.__cause__ is None:
                said = str(result)
            # One that is busy is there: it is asked again, ever less often, for as long as there is time.
            enough = tries > self.settings.retries and not busy
            if not again or enough or pause >= deadline.left:
                raise _final(result, said, tries, deadline) from result.__cause__
            if not busy:
                time.sleep(pause)
            wait = min(wait * 2, LONGEST_PAUSE) if busy else wait * 2

    def _not_asked(
        self, last: MetricsError | None, said: str, tries: int, deadline: Deadline
    ) -> MetricsError:
        """There was no place in time: others are under way, or the server asked to wait for longer."""
        if last is not None:
            return _final(last, said, tries, deadline)
        return MetricsBusy(
            f"{self.where} was not asked within {deadline.seconds:.3g} s: "
            f"{self.fanout.allowed} other requests are still under way, or it asked to wait for longer"
        )

    def _once(
        self, method: str | bytes, url: str | bytes, deadline: Deadline, options: dict[str, Any]
    ) -> tuple[Response | MetricsError, bool, float]:
        """One try: (answer or error, whether to try again, how long the server asks to wait)."""
        left = max(deadline.left, 0.001)
        timeout = Timeout(total=left, connect=min(left, self.settings.connect_timeout))
        try:
            # requests takes urllib3's own Timeout, which alone knows a total.
            response = super().request(method, url, timeout=timeout, **options)  # type: ignore[arg-type]
            with response:
                body = self._body(response)
        except (RequestException, HTTPError, OSError) as error:
            return (*self._connection_error(error), 0.0)
        status, kind = response.status_code, response.headers.get("Content-Type", "")
        # requests keeps a body that was read here; the inherited methods read it from there.
        response._content = body  # type: ignore[assignment]  # a copy would double the memory
        response._content_consumed = True  # type: ignore[attr-defined]  # an attribute of requests' own
        if status == 200 and not is_html(kind, body) and not _is_error(body):
            return response, False, 0.0
        if 300 <= status < 400:
            location = response.headers.get("Location", "")
            return redirect_error(self.where, status, location), False, 0.0
        asked = _seconds(response.headers.get("Retry-After", ""))
        return answer_error(self.where, status, kind, body), is_passing(status, body), asked

    def _body(self, response: Response) -> bytearray:
        body = bytearray()
        for piece in response.raw.stream(PIECE, decode_content=True):
            body += piece
            if len(body) > self.settings.max_bytes:
                raise AnswerTooLarge(
                    f"{self.where} answers with more than {self.settings.max_bytes:,} bytes; "
                    "ask for fewer series, a shorter window or a larger step"
                )
        return body

    def _connection_error(self, error: Exception) -> tuple[MetricsError, bool]:
        if isinstance(error, DecodeError):
            return BadAnswer(f"{self.where} sent what cannot be unpacked: {error.args[0]}"), False
        reason, again, refused = connection_problem(error)
        kind = MetricsRefused if refused else MetricsUnreachable
        made = kind(f"{self.where} cannot be reached: {reason}")
        made.__cause__ = error
        return made, again


def _final(error: MetricsError, said: str, tries: int, deadline: Deadline) -> MetricsError:
    """The last error, with how long and how often it was tried, and what the server said before."""
    if not isinstance(error, MetricsUnreachable):
        return error
    before = f"; before that: {said}" if said and said != str(error) else ""
    often = f"{tries} {'try' if tries == 1 else 'tries'}"
    spent = deadline.seconds - deadline.left
    return type(error)(f"{error} ({often} in {spent:.1f} s){before}")


def _authorities(settings: PrometheusSettings) -> bool | str:
    if not settings.verify:
        return False
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return str(settings.ca_file) if settings.ca_file else named or True


def _is_error(body: bytearray) -> bool:
    """Whether a 200 says ``status: error`` all the same; an error is never long."""
    return len(body) < 65536 and b'"error"' in body and api_error(body) is not None


def _seconds(text: str) -> float:
    """Retry-After: seconds, or the date until which to wait; 0 for what is neither."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
