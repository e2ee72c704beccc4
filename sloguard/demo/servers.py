"""The configuration of the demo's servers: Prometheus with its rules, Alertmanager, Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sloguard.demo.layout import HOST, Ports


def write_files(directory: Path, ports: Ports) -> None:
    """The configuration of all servers, into ``directory``."""
    import yaml  # only the one who starts a demo needs it, not each of its processes

    for name, content in (
        ("prometheus.yml", prometheus_config(ports)),
        ("rules.yml", alert_rules()),
        ("alertmanager.yml", alertmanager_config()),
    ):
        (directory / name).write_text(yaml.safe_dump(content, sort_keys=False, width=120))
    (directory / "envoy.json").write_text(json.dumps(envoy_config(ports), indent=2))
    (directory / "logs").mkdir()


def prometheus_config(ports: Ports) -> dict[str, Any]:
    """Every service, Envoy and Prometheus itself, scraped once a second."""
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": _targets([ports.alertmanager])}]},
        "scrape_configs": [
            _job("front", [ports.front]),
            _job("checkout", ports.checkout),
            _job("stock", [ports.stock]),
            {**_job("envoy", [ports.envoy_admin]), "metrics_path": "/stats/prometheus"},
            _job("prometheus", [ports.prometheus]),
        ],
    }


def _job(name: str, ports: Sequence[int]) -> dict[str, Any]:
    return {"job_name": name, "static_configs": _targets(ports)}


def _targets(ports: Iterable[int]) -> list[dict[str, Any]]:
    return [{"targets": [f"{HOST}:{port}" for port in ports]}]


def alert_rules() -> dict[str, Any]:
    """What would wake somebody up."""
    errors = (
        'sum(rate(http_requests_total{service="front", code=~"5.."}[5s]))'
        ' / sum(rate(http_requests_total{service="front"}[5s])) > 0.05'
    )
    slow = (
        "histogram_quantile(0.99, sum by (le) "
        '(rate(http_request_duration_seconds_bucket{service="front"}[5s]))) > 1'
    )
    rules = [
        _alert(
            "CheckoutErrors", errors, "page", "Users see errors: {{ $value | humanizePercentage }}"
        ),
        _alert(
            "CheckoutSlow",
            slow,
            "page",
            "One order in a hundred takes {{ $value | humanizeDuration }}",
        ),
        _alert(
            "CheckoutReplicaDown",
            'up{job="checkout"} == 0',
            "ticket",
            "{{ $labels.instance }} is down",
        ),
    ]
    return {"groups": [{"name": "shop", "rules": rules}]}


def _alert(name: str, expr: str, severity: str, summary: str) -> dict[str, Any]:
    labels = {"severity": severity, "service": "checkout"}
    return {
        "alert": name,
        "expr": expr,
        "for": "2s",
        "labels": labels,
        "annotations": {"summary": summary},
    }


def alertmanager_config() -> dict[str, Any]:
    """Alerts can be seen there; nobody is called."""
    route = {
        "receiver": "nobody",
        "group_by": ["alertname"],
        "group_wait": "1s",
        "group_interval": "5s",
    }
    return {"route": route, "receivers": [{"name": "nobody"}]}


def envoy_config(ports: Ports) -> dict[str, Any]:
    """front -> Envoy -> one of the checkout replicas, in turn.

    Everything that the experiments change is a runtime key with a quiet default, changed on live traffic by
    ``POST /runtime_modify?KEY=VALUE`` of the admin port and back by an empty value:

    - ``upstream.use_retry``: the share (0..100) of requests that may be retried; default 100
    - ``fault.http.abort.abort_percent``: answered with 503 by Envoy itself; default 0
    - ``fault.http.delay.fixed_delay_percent`` and ``fault.http.delay.fixed_duration_ms``; default 0 of 3 s
    """
    return {
        "admin": {"address": _address(ports.envoy_admin)},
        "layered_runtime": {
            "layers": [
                {"name": "static", "static_layer": {}},
                {"name": "admin", "admin_layer": {}},  # what /runtime_modify writes to
            ]
        },
        # Only what says something about the shop: all of Envoy's statistics are 100 KB a second.
        "stats_config": {
            "stats_matcher": {
                "inclusion_list": {
                    "patterns": [{"prefix": "cluster.checkout."}, {"prefix": "http.shop."}]
                }
            }
        },
        "static_resources": {"listeners": [_listener(ports)], "clusters": [_cluster(ports)]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}


def _typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/envoy.extensions.filters.{kind}", **fields}


def _listener(ports: Ports) -> dict[str, Any]:
    nothing = {"numerator": 0, "denominator": "HUNDRED"}
    fault = _typed(
        "http.fault.v3.HTTPFault",
        abort={"http_status": 503, "percentage": nothing},
        delay={"fixed_delay": "3s", "percentage": nothing},
    )
    filters = [
        {"name": "envoy.filters.http.fault", "typed_config": fault},
        {"name": "envoy.filters.http.router", "typed_config": _typed("http.router.v3.Router")},
    ]
    route = {
        "cluster": "checkout",
        "timeout": "4s",
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset",
            "num_retries": 3,
            "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
            # Not to the replica that has just failed.
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                    },
                }
            ],
            "host_selection_retry_max_attempts": 5,
        },
    }
    host = {
        "name": "checkout",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": route}],
    }
    manager = _typed(
        "network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="shop",
        route_config={"name": "shop", "virtual_hosts": [host]},
        http_filters=filters,
    )
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    return {"name": "shop", "address": _address(ports.envoy), "filter_chains": [chain]}


def _cluster(ports: Ports) -> dict[str, Any]:
    """No health checks and no outlier detection: retries alone stand between a dead replica and the users."""
    endpoints = [{"endpoint": {"address": _address(port)}} for port in ports.checkout]
    return {
        "name": "checkout",
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "ROUND_ROBIN",
        # The default of 3 retries at once would turn a full retry into an error by chance.
        "circuit_breakers": {"thresholds": [{"max_retries": 100}]},
        "load_assignment": {"cluster_name": "checkout", "endpoints": [{"lb_endpoints": endpoints}]},
    }
