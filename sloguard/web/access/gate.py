"""What every request passes before its view, and every answer on its way out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Response, g, request

from sloguard.ports.service import Scope
from sloguard.web.access.auditing import SAFE_METHODS, Auditor
from sloguard.web.access.browsers import Browsers, local_path
from sloguard.web.access.exposure import Hosts
from sloguard.web.access.limits import Buckets, come_again, place_of, too_many
from sloguard.web.identity import PUBLIC, Identify, Identity, check

if TYPE_CHECKING:
    from sloguard.settings.groups import ServeSettings

#: What may come at once, in seconds of the allowed rate, and at least so many requests.
_BURST_SECONDS, _LEAST_BURST = 2.0, 20.0
#: When much breaks at once, much is told at once: webhooks may come so many times as often as other requests.
HOOK_FACTOR = 10
LOGIN = "/login"


class Gate:
    """``scopes``: of every endpoint; one without is refused. ``identify``: see ``identity``.

    ``uncounted``: endpoints that anybody may ask as often as they like.
    """

    def __init__(
        self,
        serve: ServeSettings,
        identify: Identify,
        scopes: Mapping[str, str],
        auditor: Auditor,
        *,
        uncounted: frozenset[str] = frozenset(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identify, self._scopes, self._uncounted = identify, scopes, uncounted
        self._hosts = Hosts(serve)
        self.browsers = Browsers(serve)
        self.auditor = auditor
        rate = serve.rate_limit
        burst = max(_LEAST_BURST, rate * _BURST_SECONDS)
        self._buckets = Buckets(rate, burst, monotonic=monotonic) if rate else None
        self._hooks = (
            Buckets(rate * HOOK_FACTOR, burst * HOOK_FACTOR, monotonic=monotonic) if rate else None
        )

    def enter(self) -> Response | None:
        """Let the request in hand in, or send its browser to the login. Raises a Problem."""
        self._hosts.check(request.environ)
        who = g.who = self._identify(request)
        self._hold_back(who)
        endpoint = request.endpoint
        if endpoint is None:  # There is no such path, and nothing to protect.
            return None
        scope = self._scopes[endpoint]
        if who is None and scope != PUBLIC and _is_browsing():
            return _to_login()
        check(who, scope)
        self.browsers.check(who)
        return None

    def _hold_back(self, who: Identity | None) -> None:
        """Raises a Problem for a client that asks too often."""
        scope = self._scopes.get(request.endpoint or "")
        is_hook = scope == Scope.WEBHOOK and who is not None and who.may(Scope.WEBHOOK)
        buckets = self._hooks if is_hook else self._buckets
        if buckets is None or request.endpoint in self._uncounted:
            return
        known = who is not None and who.via != "open"
        key = who.name if known and who is not None else place_of(request.remote_addr or "")
        wait = buckets.take(key)
        if wait:
            raise come_again(wait) if is_hook else too_many(wait, "too many requests")

    def leave(self, response: Response) -> None:
        """Write down what was changed, and give a page with a form what it needs."""
        # Some questions come with a body; whoever may only read has changed nothing by them.
        if request.environ["REQUEST_METHOD"] not in SAFE_METHODS and (
            self._scopes.get(request.endpoint or "") != Scope.READ
        ):
            self.auditor.add_request(response)
        self.browsers.finish(response)


def _is_browsing() -> bool:
    """Whether a person follows a link. Programs want to know that they need a token."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def _to_login() -> Response:
    place = local_path(request.full_path.rstrip("?"))
    address = LOGIN if place == "/" else f"{LOGIN}?next={quote(place, safe='')}"
    return Response(status=303, headers={"Location": address})
