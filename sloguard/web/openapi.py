"""The OpenAPI 3.1 document, made of the declarations of all endpoints.

JSON Schema comes from pydantic as it is: both speak draft 2020-12.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sloguard import __version__
from sloguard.web.endpoints import JSON, Answer, Endpoint, Query, Resource
from sloguard.web.problems import KINDS, MEDIA_TYPE, URN
from sloguard.web.schemas import PATH_ARGUMENTS, ProblemAnswer

Json = dict[str, Any]
_REFERENCE = "#/components/schemas/{model}"
_ARGUMENT = re.compile(r"<(?:[^:<>]+:)?(\w+)>")
_ABOUT = (
    "Verdicts of chaos experiments, the runs behind them, and windows that other tools open and close. "
    "Every error is problem+json (RFC 9457); `type` ends in one of the names listed with each status."
)


def document(resources: Iterable[Resource], *, with_security: bool) -> Json:
    """The whole document. ``with_security``: credentials are asked for."""
    found = [resource for resource in resources if resource.documented]
    endpoints = [e for resource in found for e in resource.endpoints]
    schemas = _schemas(endpoints)
    paths: Json = {}
    for endpoint in endpoints:
        path = _ARGUMENT.sub(r"{\1}", endpoint.rule)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(
            endpoint, schemas, with_security=with_security
        )
    components: Json = {"schemas": schemas.defined}
    if with_security:
        components["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "password": {
                "type": "http",
                "scheme": "basic",
                "description": "Any user, and the secret of a token as the password; for webhooks alone.",
            },
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sloguard",
            "version": __version__,
            "summary": "SLO verification for chaos experiments",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": r.name, "description": r.about} for r in found],
        "paths": paths,
        "components": components,
    }


class _Schemas:
    """Where the schema of each model stands."""

    def __init__(self, places: Mapping[tuple[Any, str], Json], defined: Json) -> None:
        self._places = places
        self.defined = defined

    def of(self, model: type[BaseModel], mode: str) -> Json:
        return dict(self._places[model, mode])


def _schemas(endpoints: Sequence[Endpoint]) -> _Schemas:
    wanted: dict[tuple[type[BaseModel], Literal["validation", "serialization"]], None] = {
        (ProblemAnswer, "serialization"): None
    }
    for endpoint in endpoints:
        if endpoint.body is not None:
            wanted[endpoint.body, "validation"] = None
        for answer in endpoint.answers:
            if answer.model is not None:
                wanted[answer.model, "serialization"] = None
    places, whole = models_json_schema(list(wanted), ref_template=_REFERENCE)
    return _Schemas({k: dict(v) for k, v in places.items()}, whole.get("$defs", {}))


def _operation(endpoint: Endpoint, schemas: _Schemas, *, with_security: bool) -> Json:
    made: Json = {
        "operationId": endpoint.name.replace(".", "_"),
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "x-scope": str(endpoint.scope),
        "parameters": [
            *(_argument(name) for name in _ARGUMENT.findall(endpoint.rule)),
            *_parameters(endpoint.query, "query"),
            *_parameters(endpoint.headers, "header"),
        ],
        "responses": _responses(endpoint, schemas, with_security=with_security),
    }
    if endpoint.description:
        made["description"] = endpoint.description
    if endpoint.body is not None:
        required = any(f.is_required() for f in endpoint.body.model_fields.values())
        content = {JSON: {"schema": schemas.of(endpoint.body, "validation")}}
        made["requestBody"] = {"required": required, "content": content}
    elif endpoint.raw:
        content = {media: {"schema": {}} for media in endpoint.raw}
        made["requestBody"] = {"required": True, "content": content}
    if with_security:
        made["security"] = _security(endpoint)
    return made


def _security(endpoint: Endpoint) -> list[Json]:
    """Any of these will do."""
    if endpoint.scope == "public":
        return []
    known: list[Json] = [{"token": [str(endpoint.scope)]}]
    return [*known, {"password": []}] if endpoint.scope == "webhook" else known


def _argument(name: str) -> Json:
    schema, about = PATH_ARGUMENTS[name]
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}


def _parameters(model: type[Query] | None, place: str) -> Iterable[Json]:
    if model is None:
        return
    schema = model.model_json_schema()
    required = schema.get("required", ())
    for name, found in schema["properties"].items():
        declared = dict(found)
        about = declared.pop("description", "")
        yield {
            "name": name,
            "in": place,
            "required": name in required,
            "description": about,
            "schema": _without_null(declared, schema.get("$defs", {})),
        }


def _without_null(schema: Json, defined: Json) -> Json:
    """A parameter that is optional is left out; there is no null in a query string."""
    kept = {k: v for k, v in schema.items() if k not in ("title", "anyOf", "default")}
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            kept.update(choice)
    if "$ref" in kept:
        kept.update(defined[kept.pop("$ref").rpartition("/")[2]])
        kept.pop("title", None)
        kept.pop("description", None)
    return kept


def _responses(endpoint: Endpoint, schemas: _Schemas, *, with_security: bool) -> Json:
    made: Json = {str(a.status): _answer(a, schemas) for a in endpoint.answers}
    by_status: dict[int, list[str]] = {}
    for kind in _problems(endpoint, with_security=with_security):
        by_status.setdefault(KINDS[kind][0], []).append(kind)
    for status, kinds in sorted(by_status.items()):
        text = "; ".join(f"`{kind}`: {KINDS[kind][1]}" for kind in kinds)
        content = {MEDIA_TYPE: {"schema": schemas.of(ProblemAnswer, "serialization")}}
        if str(status) in made:
            made[str(status)]["content"].update(content)
            continue
        made[str(status)] = {"description": text, "content": content}
    return made


def _answer(answer: Answer, schemas: _Schemas) -> Json:
    made: Json = {"description": answer.description}
    if answer.headers:
        made["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in answer.headers.items()
        }
    if answer.model is not None:
        schema = schemas.of(answer.model, "serialization")
        made["content"] = {media: {"schema": schema} for media in answer.media}
    elif answer.status not in (204, 304):
        made["content"] = {media: {} for media in answer.media}
    return made


def _problems(endpoint: Endpoint, *, with_security: bool) -> tuple[str, ...]:
    """Those declared, and those that what is declared brings with it."""
    kinds = list(endpoint.problems)
    if "<" in endpoint.rule:
        kinds.append("not-found")
    if endpoint.body is not None or endpoint.raw:
        kinds += ["malformed", "too-large", "unsupported-media-type"]
    kinds.append("invalid")
    if endpoint.method != "GET":
        kinds.append("cross-site")
    kinds += ["misdirected", "rate-limited"]
    if with_security and endpoint.scope != "public":
        kinds += ["unauthorized", "forbidden"]
    kinds += ["unavailable"]
    return tuple(dict.fromkeys(kinds))


def problem_kinds() -> list[Json]:
    """Every kind of problem, for the page that people read."""
    return [
        {"type": URN + name, "status": status, "title": title}
        for name, (status, title) in KINDS.items()
    ]
