"""Experiments: what each does, how it went, and the way to a plan and a run of it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from flask import Response, request
from pydantic import Field

from sloguard.core.model import Activity
from sloguard.ports.service import Job, Scope
from sloguard.service.catalogue import Entry
from sloguard.service.jobs import LARGEST_SEED
from sloguard.web.api.finding import entry_of
from sloguard.web.api.refusing import finding
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.identity import who
from sloguard.web.pages.forms import FORM, PageQuery, Refused, asking, see, sent
from sloguard.web.pages.rendering import as_yaml, page
from sloguard.web.pages.report import tested
from sloguard.web.parts import service
from sloguard.web.problems import Problem

resource = Resource("experiment-pages", "/experiments", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
GONE_ON = [Answer(description="Go on there.", status=303, media=())]
_VARIABLE = "var."
_MOST = 300


class Shown(PageQuery):
    """Which experiments."""

    q: str | None = Field(None, max_length=200, description="Part of a name, a title or a tag.")


@resource.get("", scope=Scope.READ, query=Shown, answers=HTML)
def experiments(query: Shown) -> Response:
    """All experiments with their last outcomes."""
    here = service()
    every = here.parts.catalogue.entries()
    entries = [entry for entry in every if query.q is None or matches(entry, query.q)]
    shown = entries[:_MOST]
    return page(
        "experiments",
        section="Experiments",
        entries=shown,
        hidden=len(entries) - len(shown),
        any=bool(every),
        wanted=query.q or "",
        recent=here.store.recent_runs([entry.name for entry in shown], 8),
        directories=here.parts.settings.serve.experiments,
        problems=here.parts.catalogue.problems,
    )


def matches(entry: Entry, text: str) -> bool:
    """Whether an experiment is what somebody looks for."""
    found = entry.experiment
    words = [entry.name, entry.title]
    if found is not None:
        words += [*found.tags, found.description, *(slo.name for slo in found.slos)]
    return any(text.lower() in word.lower() for word in words)


@resource.get("/<experiment>", scope=Scope.READ, answers=HTML)
def experiment(experiment: str) -> Response:
    """One experiment."""
    return _shown(entry_of(service(), experiment), {}, None)


def _shown(entry: Entry, given: Mapping[str, str], refused: Refused | None) -> Response:
    found = entry.experiment
    recent = service().store.recent_runs([entry.name], 20)[entry.name]
    return page(
        "experiment",
        status=200 if refused is None else 422,
        section="Experiments",
        entry=entry,
        found=found,
        file=entry.file.rpartition("/")[2],
        tests=tested(service(), found.tags, entry.file) if found else (),
        problems=[finding(p) for p in entry.problems],
        warnings=[finding(p) for p in entry.warnings],
        method=[_step(activity) for activity in found.method] if found else [],
        rollbacks=[_step(activity) for activity in found.rollbacks] if found else [],
        variables=variables(entry, given),
        recent=recent,
        refused=refused,
        declared=as_yaml(entry.declared) if entry.declared else "",
    )


def _step(activity: Activity) -> dict[str, Any]:
    provider = dict(activity.provider)
    kind = str(provider.pop("type", ""))
    call = {
        "python": lambda: f"{provider.get('module', '')}.{provider.get('func', '')}",
        "process": lambda: str(provider.get("path", "")),
        "http": lambda: f"{provider.get('method', 'GET')} {provider.get('url', '')}",
    }.get(kind, lambda: kind)()
    arguments = provider.get("arguments")
    return {
        "name": activity.name,
        "kind": activity.kind,
        "call": call,
        "arguments": arguments if isinstance(arguments, Mapping) else {},
        "background": activity.background,
    }


def variables(entry: Entry, given: Mapping[str, str]) -> list[dict[str, Any]]:
    """What a person may set for one run: the configuration, less what is closed to requests."""
    declared = entry.declared.get("configuration") or {}
    return [
        {
            "name": str(name),
            "field": f"{_VARIABLE}{name}",
            "value": given.get(f"{_VARIABLE}{name}", ""),
            "default": _default(value),
            "hint": _hint(value),
        }
        for name, value in declared.items()
        if name not in entry.closed
    ]


def _default(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("default", ""))
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _hint(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    if value.get("type") == "env" or "key" in value:
        return f"from the service's environment: {value.get('key', '')}"
    return "found out by a probe when the run begins" if value.get("type") == "probe" else ""


@resource.post("/<experiment>/plan", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def plan(experiment: str) -> Response:
    """Plan a run: look and touch nothing. What it would hit is shown, with a button to run it."""
    here = service()
    entry = entry_of(here, experiment)
    given = sent(prefix=_VARIABLE)
    try:
        with asking():
            job, _ = here.parts.jobs.submit_run(
                entry.name,
                variables=_converted(entry, given),
                dry_run=True,
                seed=_seed(given.get("key", "")),
                by=who().name,
                from_=request.remote_addr or "",
                key=given.get("key", ""),
            )
    except Refused as refused:
        return _shown(entry, given, refused)
    return see(f"/runs/{job.id}")


def _seed(key: str) -> int:
    """For random choices: the run that follows gets it too, and so hits what the plan shows.

    Of the form's own key, so that a form that is sent twice asks for the same thing.
    """
    digest = hashlib.blake2b((key or secrets.token_hex(12)).encode(), digest_size=6).digest()
    return int.from_bytes(digest) % LARGEST_SEED


def _converted(entry: Entry, given: Mapping[str, str]) -> dict[str, Any]:
    """Texts as the kind of value that is declared."""
    declared = entry.declared.get("configuration") or {}
    return {
        name.removeprefix(_VARIABLE): _like(declared.get(name.removeprefix(_VARIABLE)), text)
        for name, text in given.items()
        if name.startswith(_VARIABLE)
    }


def _like(declared: Any, text: str) -> Any:
    if isinstance(declared, bool):
        return text.lower() not in ("false", "0", "no")
    if isinstance(declared, int | float):
        try:
            return int(text)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            return text
    if isinstance(declared, list):
        return [part.strip() for part in text.split(",")]
    return text


@resource.post("/<experiment>/run", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def run(experiment: str) -> Response:
    """Run what was planned, with its variables and its choices."""
    here = service()
    entry = entry_of(here, experiment)
    given = sent(("plan",))
    planned = _plan(given.get("plan", ""), entry)
    try:
        with asking():
            job, _ = here.parts.jobs.submit_run(
                entry.name,
                variables=planned.variables,
                tags=planned.tags,
                seed=planned.seed,
                by=who().name,
                from_=request.remote_addr or "",
                key=given.get("key", ""),
            )
    except Refused as refused:
        return _shown(entry, {}, refused)
    return see(f"/runs/{job.id}")


def _plan(id: str, entry: Entry) -> Job:
    found = service().store.job(id) if id else None
    if found is None or not found.dry_run or found.experiment != entry.name:
        raise Problem("conflict", "plan it first: a run begins from its plan")
    if not found.result.get("could_start"):
        raise Problem(
            "conflict", "by its plan it would not start: see there why, and plan it again"
        )
    return found
