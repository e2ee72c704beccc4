"""The names that ``chaosk8s.probes`` has had from its beginnings; each is a probe of another family."""

from __future__ import annotations

from sloguard.probes.base import synonym
from sloguard.probes.deployments import (
    deployment_available_and_healthy,
    deployment_fully_available,
    deployment_not_fully_available,
)
from sloguard.probes.pods import all_pods_healthy, pod_is_not_available, read_pod_logs
from sloguard.probes.services import service_is_initialized

all_microservices_healthy = synonym("all_microservices_healthy", __name__, all_pods_healthy)
deployment_is_fully_available = synonym(
    "deployment_is_fully_available", __name__, deployment_fully_available
)
deployment_is_not_fully_available = synonym(
    "deployment_is_not_fully_available", __name__, deployment_not_fully_available
)
microservice_available_and_healthy = synonym(
    "microservice_available_and_healthy", __name__, deployment_available_and_healthy
)
microservice_is_not_available = synonym(
    "microservice_is_not_available", __name__, pod_is_not_available
)
read_microservices_logs = synonym("read_microservices_logs", __name__, read_pod_logs)
service_endpoint_is_initialized = synonym(
    "service_endpoint_is_initialized", __name__, service_is_initialized
)
