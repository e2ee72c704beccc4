"""How every page is written: the template's vocabulary, and the headers it goes out with."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Response, g, render_template
from markupsafe import Markup

from sloguard import __version__
from sloguard.core.jsonable import jsonable
from sloguard.core.text import format_duration, format_value, iso_time
from sloguard.ports.service import Scope
from sloguard.web.pages.assets import asset

if TYPE_CHECKING:
    from flask import Flask

#: Nothing but what this service serves, and no script or style inside a page.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SIGNS = {
    "met": "✓",
    "deviated": "✗",
    "inconclusive": "?",
    "not-judged": "–",
    "not-started": "–",
    "aborted": "◼",
    "not-restored": "!",
    "interrupted": "!",
    "failed": "!",
    "running": "●",
    "firing": "●",
    "resolved": "✓",
    "stale": "?",
    "open": "●",
    "refuted": "✗",
    "confirmed": "✓",
    "planned": "◔",
    "waiting": "?",
    "approved": "✓",
    "refused": "✗",
}
_OTHER_SIGN = "·"
_FORMS = {"full": "%Y-%m-%d %H:%M:%S UTC", "minute": "%Y-%m-%d %H:%M UTC", "clock": "%H:%M:%S UTC"}
_BRIEF = 240


def prepare(app: Flask) -> None:
    """Give the templates their words."""
    environment = app.jinja_env
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters.update(
        sign=sign, when=when, utc=utc, span=format_duration, brief=brief, plain=plain
    )
    # What the rights of a visitor are made of belongs to ``access``; without it forms need no proof.
    environment.globals.setdefault("csrf_field", lambda: Markup(""))
    environment.globals.setdefault("signed_in", lambda: g.get("who"))
    environment.globals.update(
        may=may, asset=asset, version=__version__, new_key=lambda: secrets.token_hex(12)
    )


def page(template: str, status: int = 200, **context: Any) -> Response:
    """A page from a template."""
    made = Response(render_template(f"{template}.html", **context), status, mimetype="text/html")
    made.headers["Content-Security-Policy"] = CSP
    made.headers["Cache-Control"] = "private, no-cache"
    return made


def may(scope: str) -> bool:
    """Whether whoever looks at the page may do this; what they may not is not offered."""
    identity = g.get("who")
    return identity is not None and bool(identity.may(Scope(scope)))


def sign(state: str) -> str:
    """The sign of a verdict, an outcome or a state; it stands beside the colour."""
    return _SIGNS.get(str(state), _OTHER_SIGN)


def moment(at: float | str) -> datetime:
    """Seconds since the epoch or ISO 8601, as UTC."""
    if isinstance(at, str):
        return datetime.fromisoformat(at).astimezone(UTC)
    return datetime.fromtimestamp(at, UTC)


def utc(at: float | str) -> str:
    """A time in words, to the second."""
    return moment(at).strftime(_FORMS["full"])


def when(at: float | str | None, form: str = "full") -> Markup:
    """A time as UTC, which a script brings into the viewer's zone."""
    if at is None:
        return Markup("")
    exact = iso_time(moment(at).timestamp())
    shown = moment(at).strftime(_FORMS[form])
    return Markup('<time datetime="{}" title="{}" data-form="{}">{}</time>').format(
        exact, utc(at), form, shown
    )


def brief(text: str, most: int = _BRIEF) -> str:
    """A text that is not too long for a line of a list."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def plain(value: float) -> str:
    """A number without needless digits."""
    return format_value(value)


def as_yaml(data: Mapping[str, Any]) -> str:
    """A definition as people write it."""
    import yaml

    return yaml.safe_dump(
        jsonable(data), sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
