"""Where a one-time link leads: what will happen, and two buttons. Whoever only looks decides nothing.

Programs look at links that people send each other (previews, scanners of mail). So a GET changes nothing,
whatever it shows, and only a form of this very page decides.
"""

from __future__ import annotations

from flask import Response, g, request
from pydantic import ConfigDict, Field

from sloguard.core.people import NoteError
from sloguard.ports.people import AskOver, AskState, Link, MayNot, NothingAsked, StoredAsk
from sloguard.ports.service import Scope
from sloguard.service.approvals import BY_LINK, over
from sloguard.web.access.auditing import already_told
from sloguard.web.api.finding import unknown_run
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.identity import PUBLIC
from sloguard.web.pages.forms import FORM, sent
from sloguard.web.pages.rendering import page
from sloguard.web.parts import Service, service
from sloguard.web.people import ANSWERS, approvals
from sloguard.web.problems import Problem

resource = Resource("approval-pages", "/approvals", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]


class Linked(Query):
    """The link's token. Gateways of mail add things of their own."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    token: str = Field("", max_length=200)


@resource.get("/<run>", scope=PUBLIC, query=Linked, answers=HTML)
def look(run: str, query: Linked) -> Response:
    """What a link is about. It decides nothing."""
    here = service()
    link, asked = _opened(here, query.token, run)
    return _page(link, asked, query.token)


@resource.post("/<run>", scope=PUBLIC, raw=(FORM,), answers=HTML, problems=["cross-site"])
def decide(run: str) -> Response:
    """Approve or refuse, once."""
    here = service()
    already_told()
    given = sent(("token", "answer", "reason", "name", "plan"))
    token, answer = given.get("token", ""), ANSWERS.get(given.get("answer", ""))
    link, asked = _opened(here, token, run)
    if answer is None:
        return _page(link, asked, token, "Say whether it is approved or refused.", 422)
    place, identity = request.remote_addr or "", g.get("who")
    known = identity is not None and identity.via != "open" and identity.may(Scope.RUN)
    try:
        decided = approvals(here).decide_by_link(
            token,
            asked.ask.run,
            answer,
            from_=place,
            name=given.get("name", ""),
            reason=given.get("reason", ""),
            plan=given.get("plan", ""),
            known_as=identity.name if known and identity is not None else "",
        )
    except MayNot as error:
        return _page(link, asked, token, f"{error}.", 403)
    except NoteError as error:
        return _page(link, asked, token, f"The reason does not fit: {error}.", 422)
    except AskOver as error:
        link, asked = _opened(here, token, run)
        return _page(link, asked, token, f"Nothing was decided by this: {error}.", 409)
    by = identity.name if known and identity is not None else f"{BY_LINK}{link.channel}"
    here.gate.auditor.add(
        by,
        place,
        f"approval-pages.{given['answer']}",
        asked.ask.run,
        plan=asked.ask.digest,
        channel=link.channel,
        name=given.get("name", "")[:80],
    )
    link, _ = _opened(here, token, run)
    return _page(link, decided, token)


def _opened(here: Service, token: str, run: str) -> tuple[Link, StoredAsk]:
    try:
        return approvals(here).opened(token, run)
    except NothingAsked:
        if not run.isascii() or len(run) > 128:
            raise unknown_run(run) from None
        detail = "this link is good for nothing (any more): it may be cut short, or its run deleted"
        raise Problem("no-approval", detail) from None


def _page(
    link: Link, asked: StoredAsk, token: str, problem: str = "", status: int = 200
) -> Response:
    waits = asked.state is AskState.WAITING
    made = page(
        "approval",
        status=status,
        section=None,
        asked=asked,
        ask=asked.ask,
        plan=asked.ask.plan,
        link=link,
        can=waits and link.used_at is None,
        token=token,
        problem=problem,
        said=over(asked),
        agreed=sum(voice.answer == "approved" for voice in asked.voices),
        waits=waits,
    )
    made.headers["Cache-Control"] = "no-store"
    made.headers["X-Robots-Tag"] = "noindex"
    # The address holds the token: what the page loads must not tell it to whoever logs that.
    made.headers["Referrer-Policy"] = "strict-origin"
    return made
