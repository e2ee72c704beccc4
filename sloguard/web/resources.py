"""All resources, in the order of the OpenAPI document. Pages join here as well."""

from __future__ import annotations

from sloguard.web import login, webhooks
from sloguard.web.api import (
    alerts,
    audit,
    backlog,
    badges,
    documents,
    events,
    evidence,
    experiments,
    health,
    outbox,
    people,
    reports,
    runs,
    slos,
    verdicts,
    windows,
)
from sloguard.web.endpoints import Resource
from sloguard.web.pages import alerts as alert_pages
from sloguard.web.pages import approving, assets, overview, search
from sloguard.web.pages import backlog as backlog_pages
from sloguard.web.pages import experiments as experiment_pages
from sloguard.web.pages import outbox as outbox_pages
from sloguard.web.pages import reports as report_pages
from sloguard.web.pages import runs as run_pages
from sloguard.web.pages import windows as window_pages

RESOURCES: tuple[Resource, ...] = (
    experiments.resource,
    runs.resource,
    verdicts.resource,
    evidence.resource,
    events.resource,
    windows.resource,
    alerts.resource,
    backlog.resource,
    reports.resource,
    people.resource,
    outbox.resource,
    webhooks.resource,
    slos.resource,
    badges.resource,
    audit.resource,
    documents.resource,
    health.resource,
    login.resource,
    overview.resource,
    experiment_pages.resource,
    run_pages.resource,
    window_pages.resource,
    approving.resource,
    alert_pages.resource,
    backlog_pages.resource,
    report_pages.resource,
    outbox_pages.resource,
    search.resource,
    assets.resource,
)
