"""How an endpoint is declared: path, scope, what it takes, what it answers. One declaration serves the
router, the check of every request, the check of rights, and the OpenAPI document.

Pydantic models describe queries, headers and bodies; a request that does not fit is answered with every
problem at once, before the view is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from flask import Blueprint, Response, g, request
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from sloguard.documents.problems import did_you_mean
from sloguard.web.problems import Problem

JSON = "application/json"
View = Callable[..., Response]


class Query(BaseModel):
    """Base of what comes in a query string or in headers: texts, converted; nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Body(BaseModel):
    """Base of what comes as JSON: exactly these types; nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One way in which an endpoint answers. ``model`` None: it is no JSON object (see ``media``), or empty."""

    description: str
    status: int = 200
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """All that is known of an endpoint. ``raw``: media types that it reads itself, in place of ``body``."""

    name: str
    method: str
    rule: str
    scope: str
    summary: str
    description: str
    tag: str
    answers: tuple[Answer, ...]
    problems: tuple[str, ...]
    query: type[Query] | None
    headers: type[Query] | None
    body: type[Body] | None
    raw: tuple[str, ...]


class Resource:
    """A blueprint with its declarations. Everything that is served comes from one of these.

    ``documented`` False: it is for browsers, and no part of the OpenAPI document.
    """

    def __init__(
        self, name: str, prefix: str = "", *, about: str = "", documented: bool = True
    ) -> None:
        self.blueprint = Blueprint(name, __name__, url_prefix=prefix or None)
        self.name = name
        self.prefix = prefix
        self.about = about
        self.documented = documented
        self.endpoints: list[Endpoint] = []

    def get(self, rule: str, **declared: Any) -> Callable[[View], View]:
        """A GET; see ``_declare``."""
        return self._declare("GET", rule, **declared)

    def post(self, rule: str, **declared: Any) -> Callable[[View], View]:
        """A POST; see ``_declare``."""
        return self._declare("POST", rule, **declared)

    def delete(self, rule: str, **declared: Any) -> Callable[[View], View]:
        """A DELETE; see ``_declare``."""
        return self._declare("DELETE", rule, **declared)

    def _declare(
        self,
        method: str,
        rule: str,
        *,
        scope: str,
        answers: Sequence[Answer],
        problems: Sequence[str] = (),
        query: type[Query] | None = None,
        headers: type[Query] | None = None,
        body: type[Body] | None = None,
        raw: tuple[str, ...] = (),
    ) -> Callable[[View], View]:
        """The view gets the path's arguments, and ``query``, ``headers``, ``body`` as far as declared.

        Its docstring is the endpoint's documentation.
        """

        def decorate(view: View) -> View:
            summary, _, rest = (view.__doc__ or "").strip().partition("\n")
            declared = Endpoint(
                name=f"{self.name}.{view.__name__}",
                method=method,
                rule=f"{self.prefix}{rule}",
                scope=scope,
                summary=summary.rstrip("."),
                description="\n".join(line.strip() for line in rest.strip().splitlines()),
                tag=self.name,
                answers=tuple(answers),
                problems=tuple(problems),
                query=query,
                headers=headers,
                body=body,
                raw=raw,
            )
            self.endpoints.append(declared)
            checked = _checking(view, declared)
            self.blueprint.add_url_rule(rule, view.__name__, checked, methods=[method])
            return checked

        return decorate


def _checking(view: View, declared: Endpoint) -> View:
    """The view behind the check of what it is given."""
    takes_query, takes_headers, takes_body = declared.query, declared.headers, declared.body
    without = None if takes_query is None else takes_query()

    @wraps(view)
    def call(**arguments: Any) -> Response:
        if without is not None:
            arguments["query"] = (
                _query(type(without)) if request.environ.get("QUERY_STRING") else without
            )
        elif request.environ.get("QUERY_STRING"):
            _query(Query)
        if takes_headers is not None:
            arguments["headers"] = _headers(takes_headers)
        if takes_body is not None:
            # The audit log tells what was asked for.
            arguments["body"] = g.asked = _body(takes_body)
        return view(**arguments)

    return call


def _query(model: type[Query]) -> Query:
    given = request.args.to_dict(flat=False)
    repeated = [name for name, values in given.items() if len(values) > 1]
    if repeated:
        at = [{"at": f"query.{name}", "message": "it is given more than once"} for name in repeated]
        raise Problem("invalid", "the query does not fit", errors=at)
    return _fitted(model, {name: values[0] for name, values in given.items()}, "query")


def _headers(model: type[Query]) -> Query:
    names = {f.alias or name for name, f in model.model_fields.items()}
    found = {name: request.headers[name] for name in names if name in request.headers}
    return _fitted(model, found, "header")


def _fitted(model: type[Query], values: Mapping[str, str], place: str) -> Query:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _misfit(error, model, place) from None


def _body(model: type[Body]) -> Body:
    raw = read_body((JSON,))
    if not raw and not any(f.is_required() for f in model.model_fields.values()):
        return model()
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            detail = f"the body is not JSON: {first['msg'].partition(': ')[2] or first['msg']}"
            raise Problem("malformed", detail) from None
        raise _misfit(error, model, "body") from None


def read_body(media: Sequence[str]) -> bytes:
    """The body, of one of these media types; an empty one may come without any. Raises Problem."""
    if request.mimetype not in media and (request.mimetype or request.content_length):
        found = request.mimetype or "no content type"
        raise Problem("unsupported-media-type", f"found {found}, expected {' or '.join(media)}")
    body = request.get_data(cache=False)
    most = request.max_content_length
    if request.content_length is None and most is not None and len(body) >= most:
        # One that comes in pieces is cut off there without a word.
        raise RequestEntityTooLarge
    return body


def _misfit(error: ValidationError, model: type[BaseModel], place: str) -> Problem:
    """Every problem at once: where, what was expected, and what may have been meant."""
    errors = []
    known = [f.alias or name for name, f in model.model_fields.items()]
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(str(part) for part in one["loc"])
        entry = {"at": f"{place}.{path}" if path else place, "message": one["msg"]}
        if one["type"] == "extra_forbidden" and len(one["loc"]) == 1:
            kind = {"query": "parameter", "header": "header"}.get(place, "key")
            entry["message"] = f"unknown {kind}"
            hint = did_you_mean(path, known) or f"there are: {', '.join(known) or 'none'}"
            entry["hint"] = hint
        errors.append(entry)
    count = len(errors)
    detail = f"the {place} has {count} problem{'s' if count != 1 else ''}"
    return Problem("invalid", detail, errors=errors)
