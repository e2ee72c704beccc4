"""All resources, in the order of the OpenAPI document. Pages join here as well."""

from __future__ import annotations

from sloguard.web.api import (
    alerts,
    badges,
    documents,
    events,
    evidence,
    experiments,
    health,
    runs,
    slos,
    verdicts,
    windows,
)
from sloguard.web.endpoints import Resource

RESOURCES: tuple[Resource, ...] = (
    experiments.resource,
    runs.resource,
    verdicts.resource,
    evidence.resource,
    events.resource,
    windows.resource,
    alerts.resource,
    slos.resource,
    badges.resource,
    documents.resource,
    health.resource,
)
