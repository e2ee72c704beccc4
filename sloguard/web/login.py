"""Logging in and out: a token once, a cookie from then on."""

from __future__ import annotations

from flask import Response, g, render_template, request
from pydantic import Field

from sloguard.ports.service import Scope
from sloguard.web.access.auditing import already_told
from sloguard.web.access.browsers import FORM, SESSION, form, local_path
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.identity import PUBLIC
from sloguard.web.parts import service
from sloguard.web.problems import Problem

resource = Resource("login", documented=False, about="For browsers.")


class LoginQuery(Query):
    """What comes afterwards."""

    next: str | None = Field(None, description="a path of this service", max_length=2000)


@resource.get(
    "/login",
    scope=PUBLIC,
    query=LoginQuery,
    answers=[Answer(description="The form.", media=("text/html",))],
)
def page(query: LoginQuery) -> Response:
    """Where a token is given."""
    return _page(local_path(query.next))


@resource.post(
    "/login",
    scope=PUBLIC,
    raw=(FORM,),
    answers=[
        Answer(status=303, description="Logged in.", media=()),
        Answer(status=401, description="The form again.", media=("text/html",)),
    ],
    problems=["cross-site", "rate-limited"],
)
def enter() -> Response:
    """Log in with a token; any login of before ends."""
    given, here = form(), service()
    place = local_path(given.get("next"))
    if here.parts.logins is None:
        return _to(place)
    already_told()
    try:
        token = here.parts.logins.token(given.get("token", "").strip(), request.remote_addr or "")
    except Problem as problem:
        return _page(place, problem)
    if token.scopes <= {Scope.WEBHOOK}:
        return _page(place, Problem("forbidden", "this token is for webhooks, and shows no pages"))
    browsers, store = here.gate.browsers, here.store
    old = browsers.cookie(SESSION)
    if old:
        store.end_session(old)
    now, hours = here.parts.now(), here.parts.settings.serve.session_hours
    ends = min(now + hours * 3600, token.expires_at or float("inf"))
    # Always a new secret: one that was there before the login may be known to others.
    secret = store.create_session(token.id, expires_at=ends)
    here.gate.auditor.add(
        f"token:{token.name}", request.remote_addr or "", "login.enter", f"token:{token.id}"
    )
    made = _to(place)
    browsers.keep(made, SESSION, secret, ends - now)
    return made


@resource.post(
    "/logout",
    scope=PUBLIC,
    raw=(FORM,),
    answers=[Answer(status=303, description="Logged out.", media=())],
    problems=["cross-site"],
)
def leave() -> Response:
    """Log out: the session is over, and pages that the browser has kept with it."""
    form()
    here = service()
    browsers, secret = here.gate.browsers, here.gate.browsers.cookie(SESSION)
    already_told()
    made = _to("/login" if here.parts.logins is not None else "/")
    if secret:
        ended = here.store.end_session(secret)
        browsers.forget(made, SESSION)
        who = g.get("who")
        if ended and who is not None:
            here.gate.auditor.add(
                who.name, request.remote_addr or "", "login.leave", f"token:{who.token}"
            )
    made.headers["Clear-Site-Data"] = '"cache"'
    return made


def _to(place: str) -> Response:
    return Response(status=303, headers={"Location": place})


def _page(place: str, problem: Problem | None = None) -> Response:
    off = service().parts.logins is None
    if off and problem is None:
        return _to(place)
    text = render_template(
        "login.html",
        next=place,
        problem=problem.detail if problem is not None else "",
    )
    made = Response(text, problem.status if problem is not None else 200, mimetype="text/html")
    if problem is not None:
        retry = problem.headers.get("Retry-After")
        if retry:
            made.headers["Retry-After"] = retry
    return made
