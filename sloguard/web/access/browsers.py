"""Browsers: cookies, forms that nobody else can send, and requests that come from our own pages."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import g, request
from markupsafe import Markup

from sloguard.web.access.auditing import SAFE_METHODS
from sloguard.web.access.exposure import is_https
from sloguard.web.problems import Problem

if TYPE_CHECKING:
    from flask import Flask, Response

    from sloguard.settings.groups import ServeSettings
    from sloguard.web.identity import Identity

SESSION, VISITOR = "sloguard_session", "sloguard_visitor"
CSRF_FIELD, CSRF_HEADER = "csrf_token", "X-CSRF-Token"
FORM = "application/x-www-form-urlencoded"
#: Bytes of a form. The server collects so much before it gives a request a thread: see ``patience``.
LARGEST_FORM = 64 << 10
_FORMS = (FORM, "multipart/form-data")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SALT = 12


class Browsers:
    """What concerns browsers alone. ``origins``: those of the settings; a request's own host counts too."""

    def __init__(self, serve: ServeSettings) -> None:
        self._https = is_https(serve)
        base = urlsplit(serve.base_url).netloc.rpartition("@")[2].lower()
        self._known = {base} if base else set()

    def register(self, app: Flask) -> None:
        """What templates use."""
        app.jinja_env.globals.update(csrf_token=self.csrf_token, csrf_field=self.csrf_field)
        app.jinja_env.globals["signed_in"] = lambda: g.get("who")

    @property
    def https(self) -> bool:
        """Whether the request in hand came by https, as far as the client is concerned."""
        return self._https or request.scheme == "https"

    def cookie(self, name: str) -> str:
        """The value of one of our cookies; empty where it is none of ours."""
        value = request.cookies.get(self._name(name), "")
        return value if _SECRET.fullmatch(value) else ""

    def keep(self, response: Response, name: str, value: str, seconds: float | None = None) -> None:
        """Have the browser keep a cookie for so long; None: until it is closed."""
        response.set_cookie(
            self._name(name),
            value,
            max_age=None if seconds is None else int(seconds),
            path="/",
            secure=self.https,
            httponly=True,
            samesite="Lax",
        )

    def forget(self, response: Response, name: str) -> None:
        """Have the browser drop a cookie."""
        response.delete_cookie(
            self._name(name), path="/", secure=self.https, httponly=True, samesite="Lax"
        )

    def _name(self, name: str) -> str:
        # Such a name no other host, and nothing unencrypted, can set.
        return f"__Host-{name}" if self.https else name

    def csrf_token(self) -> str:
        """A token for a form of the page in hand; another one each time, so that no length betrays it."""
        g.csrf_given = True
        return _token(self._key(), secrets.token_urlsafe(_SALT)[:_SALT])

    def csrf_field(self) -> Markup:
        """The same as a hidden field."""
        made = '<input type="hidden" name="{}" value="{}">'
        return Markup(made).format(CSRF_FIELD, self.csrf_token())  # noqa: S704 - a constant, filled in by format, which escapes

    def check(self, who: Identity | None) -> None:
        """Raises a Problem (403) for a change that another site may have had a browser ask for.

        Whoever shows a token of their own in a header is no browser that was led here. Everything else
        that changes something must come from our own pages, and forms must hold their token.
        """
        if request.environ["REQUEST_METHOD"] in SAFE_METHODS or (
            who is not None and who.via == "token"
        ):
            return
        self._check_origin()
        if who is not None and who.via == "basic":
            # A tool; it has no page that could give it a token.
            return
        is_form = request.mimetype in _FORMS
        if is_form or (who is not None and who.via in ("session", "proxy")):
            given = request.headers.get(CSRF_HEADER) or _field(CSRF_FIELD)
            if not self._is_ours(given):
                raise Problem(
                    "cross-site",
                    f"this needs the token of its page, as the field {CSRF_FIELD} or the header "
                    f"{CSRF_HEADER}: reload the page, and let it keep cookies",
                )

    def _check_origin(self) -> None:
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        fine = True
        if site is not None:
            fine = site in ("same-origin", "none")
        elif origin is not None:
            place = urlsplit(origin).netloc.lower() if origin.isascii() else ""
            fine = bool(place) and place in {request.host.lower(), *self._known}
        if not fine:
            raise Problem("cross-site", "another site has asked for this; only our own pages may")

    def _is_ours(self, given: str) -> bool:
        key = self.cookie(SESSION) if self._has_session() else self.cookie(VISITOR)
        if not key or not given.isascii():
            return False
        return hmac.compare_digest(_token(key, given[:_SALT]), given)

    def _has_session(self) -> bool:
        who = g.get("who")
        return who is not None and who.via == "session"

    def _key(self) -> str:
        """What ties a form to its browser: the session, or a cookie of its own where there is none."""
        if self._has_session():
            return self.cookie(SESSION)
        if "visitor" not in g:
            known = self.cookie(VISITOR)
            g.visitor = known or secrets.token_urlsafe(32)
            g.new_visitor = not known
        return str(g.visitor)

    def finish(self, response: Response) -> None:
        """What a page with a form needs: its cookie, and that nobody keeps it."""
        if not g.get("csrf_given"):
            return
        response.headers["Cache-Control"] = "no-store"
        response.headers.pop("ETag", None)
        if g.get("new_visitor"):
            self.keep(response, VISITOR, g.visitor)


def _token(key: str, salt: str) -> str:
    made = hmac.digest(key.encode(), b"csrf:" + salt.encode(), hashlib.sha256)
    return salt + urlsafe_b64encode(made).decode().rstrip("=")


def _field(name: str) -> str:
    """A field of the form in hand; empty where it is no form. Raises a Problem for one too large to look into."""
    if request.mimetype != FORM:
        return ""
    length = request.content_length
    if length is None or length > LARGEST_FORM:
        raise Problem(
            "too-large", f"a form may have at most {LARGEST_FORM} bytes, and says how many"
        )
    return request.form.get(name, "")


def form() -> Mapping[str, str]:
    """The fields of the form in hand, the first of each name. Raises a Problem for what is no form."""
    if request.mimetype != FORM:
        found = request.mimetype or "no content type"
        raise Problem("unsupported-media-type", f"found {found}, expected {FORM}")
    return request.form.to_dict()


def local_path(text: str | None) -> str:
    """Where to go on after a login: a path of ours, whatever else was asked for."""
    if not text or len(text) > 2000 or not re.fullmatch(r"/[\x21-\x5b\x5d-\x7e]*", text):
        return "/"
    if text.startswith(("//", "/login", "/logout")):
        return "/"
    return text
