"""A whole service for tests: a real store on SQLite, a catalogue on disk, no worker and no server."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from sloguard.adapters.store import Store
from sloguard.ports import MetricsUnreachable
from sloguard.service.catalogue import Catalogue
from sloguard.service.jobs import JobDesk
from sloguard.service.windows import WindowDesk
from sloguard.settings import Settings
from sloguard.web import create_app
from sloguard.web.endpoints import Resource
from sloguard.web.identity import Identify, anybody
from sloguard.web.opening import authenticator
from sloguard.web.parts import Parts
from sloguard.web.resources import RESOURCES
from tests.support import runs as stored
from tests.support.empty_store import empty_store

NOW = stored.FAULT + 3600

EXPERIMENT = """\
title: Checkout survives a lost pod
description: One of three is lost.
tags: [shop]
configuration:
  namespace: shop
  replicas: 3
steady-state-hypothesis:
  title: It serves
  slos:
  - name: error-ratio
    query: sum(rate(errors_total[30s]))
    objective: "< 1%"
method:
- type: action
  name: lose-a-pod
  provider:
    type: python
    module: sloguard.faults.pods
    func: terminate_pods
    arguments: {ns: "${namespace}", label_selector: app=checkout, qty: 1}
rollbacks: []
"""
BROKEN = EXPERIMENT.replace('"< 1%"', '"less than one"').replace("steady-state", "steddy-state")
SLOS = """\
title: Checkout
phases: {before: 1m, during: 30s, after: 1m}
slos:
- name: error-ratio
  query: sum(rate(errors_total[30s]))
  objective: "< 1%"
"""


@dataclass
class World:
    """What stands behind the application, for tests to look at and to change."""

    store: Store
    app: Flask
    directory: Path
    parts: Parts
    prometheus_is_away: list[bool] = field(default_factory=lambda: [False])
    is_stopping: list[bool] = field(default_factory=lambda: [False])

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def keep(self, run: str, **options: Any) -> str:
        """A whole run in the store."""
        recorder = self.store.recorder(
            experiment=options.pop("experiment", "checkout"), kind=options.pop("kind", "run")
        )
        for event in stored.whole(run, **options):
            recorder.record(event)
        return run

    def begin(self, run: str) -> Any:
        """A run that is under way; its recorder, for what comes next."""
        recorder = self.store.recorder(experiment="checkout")
        for event in stored.opening(run):
            recorder.record(event)
        return recorder


def make_world(
    directory: Path,
    *,
    url: str = "",
    identify: Identify = anybody,
    authenticate: bool = False,
    monotonic: Callable[[], float] = time.monotonic,
    resources: Sequence[Resource] = RESOURCES,
    settings: Mapping[str, Any] | None = None,
    groups: Mapping[str, Mapping[str, Any]] | None = None,
    wrap_store: Callable[[Any], Any] = lambda store: store,
    now: Callable[[], float] = lambda: NOW,
    **more: Any,
) -> World:
    """A service whose clock stands at NOW, with one good experiment, one broken one and a set of SLOs.

    ``authenticate``: it asks for tokens, in place of ``identify``. ``settings``: of the group serve; ``groups``: of
    others. ``wrap_store``: what the application gets in place of the store. ``more``: further fields of Parts.
    """
    experiments, slos = directory / "experiments", directory / "slos"
    for place in (experiments, slos):
        place.mkdir(exist_ok=True)
    (experiments / "checkout.yaml").write_text(EXPERIMENT)
    (experiments / "broken.yaml").write_text(BROKEN)
    (slos / "checkout.yaml").write_text(SLOS)
    (slos / "bad.yaml").write_text("slos: [{name: x}]")
    store = Store(url or empty_store(directory / "runs.db"), now=now if authenticate else time.time)
    chosen = Settings()
    chosen = replace(
        chosen,
        serve=replace(
            chosen.serve,
            **{
                "access_log": False,
                "rate_limit": 0.0,
                "auth": "on" if authenticate else "auto",
                **(settings or {}),
            },
        ),
    )
    for group, values in (groups or {}).items():
        chosen = replace(chosen, **{group: replace(getattr(chosen, group), **values)})
    catalogue = Catalogue([experiments], slos=slos, environ={})
    numbers = itertools.count(1)

    def new_id() -> str:
        return f"20260101T130000-{next(numbers):06x}"

    away, stopping = [False], [False]
    logins = None
    if authenticate:
        logins = authenticator(chosen, store, now=now, monotonic=monotonic)

    def prometheus() -> None:
        if away[0]:
            raise MetricsUnreachable("no connection to http://user:secret@prometheus:9090")

    parts = Parts(
        store=wrap_store(store),
        catalogue=catalogue,
        jobs=JobDesk(
            jobs=store,
            runs=store,
            catalogue=catalogue,
            new_id=new_id,
            most=chosen.serve.max_queue,
            now=now,
        ),
        windows=WindowDesk(
            windows=store,
            catalogue=catalogue,
            new_id=new_id,
            longest=chosen.serve.window_max,
            settle=16.0,
            now=now,
        ),
        settings=chosen,
        prometheus=prometheus,
        identify=logins or identify,
        logins=logins,
        now=now,
        monotonic=monotonic,
        stopping=lambda: stopping[0],
        **more,
    )
    return World(store, create_app(parts, resources), directory, parts, away, stopping)


def body_of(answer: Any) -> Any:
    """The JSON of an answer."""
    return json.loads(answer.get_data())
