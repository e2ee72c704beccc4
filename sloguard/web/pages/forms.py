"""Forms of pages: what was sent, as plain texts, and the way back to a page that shows what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Response, request
from pydantic import model_validator

from sloguard.service.catalogue import NotUsable
from sloguard.web.api.refusing import finding, refusals
from sloguard.web.endpoints import Query
from sloguard.web.problems import Problem

FORM = "application/x-www-form-urlencoded"
#: Fields that every form may have, and that are no part of what is asked for.
_OURS = ("csrf_token", "key")
_LONGEST = 4000


class PageQuery(Query):
    """A query as a form sends it: fields that were left empty are not given."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty_ones(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return {name: value for name, value in given.items() if value not in ("", None)}
        return given


def sent(known: Collection[str] = (), *, prefix: str = "") -> dict[str, str]:
    """The fields of the form in hand that were filled in. ``prefix``: fields that begin so are known too."""
    if request.mimetype != FORM:
        raise Problem("unsupported-media-type", f"expected a form, {FORM}")
    found: dict[str, str] = {}
    for name, values in request.form.lists():
        is_known = name in known or name in _OURS or (prefix and name.startswith(prefix))
        if not is_known or len(values) > 1 or len(values[0]) > _LONGEST:
            raise Problem("invalid", f"the form has a field that does not fit: {name[:60]}")
        if values[0].strip():
            found[name] = values[0].strip()
    return found


def see(place: str) -> Response:
    """Go on with a GET of this page of ours, so that going back and reloading send nothing twice."""
    return Response(status=303, headers={"Location": place})


class Refused(Exception):
    """What was asked for cannot be done as it is; the form is shown again with the reasons."""

    def __init__(self, message: str, errors: tuple[Mapping[str, str], ...]) -> None:
        super().__init__(message)
        self.errors = errors


@contextmanager
def asking() -> Iterator[None]:
    """Around a call into a desk: raises Refused for what a person can correct, a Problem for the rest."""
    with refusals():
        try:
            yield
        except NotUsable as error:
            shown = tuple(finding(p) for p in error.problems)
            raise Refused(str(error), shown) from None
