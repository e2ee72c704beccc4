"""A first experiment, written from what a Prometheus has: request counters and histograms by usual names.

Pure: the caller looks (``Question`` by ``Question``), this room decides and writes. Names and status labels
are those of the Prometheus client libraries, OpenTelemetry, Micrometer, Istio, Envoy, gRPC and ingresses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Finds every metric that could count or time requests; anchored, so that the server can use its index.
CANDIDATES = (
    'group by (__name__) ({__name__=~"(.*_)?(requests?|handled|rq|http|grpc|rpc)(_.*)?_(total|count|bucket)'
    '|nginx_ingress_controller_requests"})'
)
#: The first that a metric has wins.
STATUS_LABELS = (
    "code",
    "status_code",
    "status",
    "response_code",
    "http_status_code",
    "http_response_status_code",
    "grpc_code",
    "envoy_response_code",
)
GROUP_LABELS = (
    "service",
    "destination_service_name",
    "destination_workload",
    "service_name",
    "app",
    "envoy_cluster_name",
    "grpc_service",
    "exported_service",
    "job",
)
#: The best known first, counters and histograms each among themselves.
_PREFERRED = (
    "http_requests_total",
    "http_request_duration_seconds_bucket",
    "istio_requests_total",
    "istio_request_duration_milliseconds_bucket",
    "http_server_requests_seconds_count",
    "http_server_requests_seconds_bucket",
    "http_server_request_duration_seconds_count",
    "http_server_request_duration_seconds_bucket",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds_bucket",
    "nginx_ingress_controller_requests",
    "nginx_ingress_controller_request_duration_seconds_bucket",
)
#: Histograms whose names do not say that they count in milliseconds.
_IN_MILLISECONDS = ("_milliseconds_bucket", "_ms_bucket", "rq_time_bucket")
#: Exporters of the monitoring itself; their requests are nobody's steady state.
_OWN = (
    "prometheus_",
    "promhttp_",
    "alertmanager_",
    "go_",
    "scrape_",
    "net_conntrack_",
    "apiserver_",
)
_MOST_GROUPS = 40

#: Runs an instant query and gives the label sets of its answer.
Question = Callable[[str], Sequence[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Found:
    """A metric of requests: how it tells failures (``status``) and whose they are (``group``)."""

    metric: str
    status: str = ""
    group: str = ""
    groups: tuple[str, ...] = ()

    @property
    def failed(self) -> str:
        """The matcher that selects failures."""
        if self.status == "grpc_code":
            return f'{self.status}=~"Unknown|DeadlineExceeded|Internal|Unavailable|DataLoss"'
        return f'{self.status}=~"5.."'


@dataclass(frozen=True, slots=True)
class Choice:
    """What the author answered."""

    title: str
    counter: Found | None
    histogram: Found | None
    only: str = ""
    errors: str = "1%"
    latency: str = "300ms"
    lookback: str = "1m"
    kill: str = ""
    hypothesis: str = ""


def look(ask: Question) -> tuple[list[Found], list[Found]]:
    """Counters with a status label, and histograms of durations, the best known first."""
    names = [row.get("__name__", "") for row in ask(CANDIDATES)]
    mine = [n for n in names if n and not n.startswith(_OWN)]
    counters = sorted((n for n in mine if not n.endswith("_bucket")), key=_rank)
    histograms = sorted(
        (n for n in mine if n.endswith(("seconds_bucket", *_IN_MILLISECONDS))),
        key=_rank,
    )
    with_status = [f for f in (_found(n, ask) for n in counters[:12]) if f.status]
    return with_status[:6], [_found(n, ask) for n in histograms[:6]]


def _rank(name: str) -> tuple[int, bool, str]:
    known = _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)
    return known, "seconds" not in name, name


def _found(metric: str, ask: Question) -> Found:
    labels = (*STATUS_LABELS, *GROUP_LABELS)
    rows = ask(f"group by ({', '.join(labels)}) ({metric})")
    status = next((s for s in STATUS_LABELS if any(row.get(s) for row in rows)), "")
    for group in GROUP_LABELS:
        values = sorted({row[group] for row in rows if row.get(group)})
        if values and len(values) <= _MOST_GROUPS:
            return Found(metric, status, group, tuple(values))
    return Found(metric, status)


def write(choice: Choice) -> str:
    """The experiment as commented YAML."""
    parts = [
        _HEAD.format(
            title=json.dumps(choice.title, ensure_ascii=False),
            lookback=choice.lookback,
            backlog=f"backlog: {json.dumps(choice.hypothesis)}\n"
            if choice.hypothesis
            else _NO_BACKLOG,
        )
    ]
    if choice.counter:
        parts.append(_errors(choice.counter, choice))
    if choice.histogram:
        parts.append(_latency(choice.histogram, choice))
    if not choice.counter and not choice.histogram:
        parts.append(
            _UP.format(matcher=f"job={json.dumps(choice.only)}" if choice.only else 'job=~".+"')
        )
    parts.append(
        _METHOD_KILL.format(pattern=json.dumps(choice.kill)) if choice.kill else _METHOD_NONE
    )
    return "".join(parts)


def _selector(found: Found, choice: Choice, *more: str) -> str:
    matchers = list(more)
    if choice.only and found.group:
        matchers.append(f"{found.group}={json.dumps(choice.only, ensure_ascii=False)}")
    return f"{found.metric}{{{', '.join(matchers)}}}" if matchers else found.metric


def _by(found: Found, *more: str) -> str:
    labels = [*more, *([found.group] if found.group else [])]
    return f" by ({', '.join(labels)})" if labels else ""


def _errors(found: Found, choice: Choice) -> str:
    by, back = _by(found), choice.lookback
    return _ERRORS.format(
        bad=f"sum{by} (rate({_selector(found, choice, found.failed)}[{back}]))",
        total=f"sum{by} (rate({_selector(found, choice)}[{back}]))",
        errors=choice.errors,
    )


def _latency(found: Found, choice: Choice) -> str:
    bound = choice.latency
    if found.metric.endswith(_IN_MILLISECONDS):
        from sloguard.core.objective import parse_quantity

        # A bound with a time unit is in seconds: a thousand times too small for these.
        bound = f"{parse_quantity(bound)[0] * 1000:g}"
    inner = f"sum{_by(found, 'le')} (rate({_selector(found, choice)}[{choice.lookback}]))"
    return _LATENCY.format(query=f"histogram_quantile(0.99, {inner})", latency=bound)


#: Without one the key is only shown.
_NO_BACKLOG = "# The hypothesis of your backlog that this tests; 'sloguard backlog' shows them.\n# backlog: ID\n"
_HEAD = """\
# A first experiment. Look at it with `sloguard validate`, see what it would hit with `sloguard run --dry-run`.
title: {title}
description: What is broken, and what nobody may notice.
{backlog}
# How long to look. `before` is read from the history that Prometheus holds; `during` is a minimum.
# Longer than the {lookback} over which the queries average, or the fault would be averaged away.
phases: {{before: 5m, during: 3m, after: 5m}}

steady-state-hypothesis:
  title: Its users are served
  slos:
"""
_ERRORS = """\
  - name: error-ratio
    bad:   {bad}
    total: {total}
    objective: "< {errors}"
    # Under the fault a short breach is tolerated; after it, all must be well again in time.
    during: {{tolerate: 30s}}
    after: {{recover_within: 2m}}
"""
_LATENCY = """\
  - name: p99-latency
    query: {query}
    objective: "<= {latency}"
    during: {{tolerate: 30s}}
    after: {{recover_within: 2m}}
"""
_UP = """\
  - name: targets-up
    query: min by (job) (up{{{matcher}}})
    objective: ">= 1"
    during: {{tolerate: 30s}}
    after: {{recover_within: 2m}}
"""
_METHOD_KILL = """\

method:
- type: action
  name: kill-one-process
  provider:
    type: python
    module: sloguard.faults.processes
    func: kill
    arguments: {{command_pattern: {pattern}, rand: true, qty: 1}}

rollbacks: []
"""
_METHOD_NONE = """\

# Nothing is broken yet: this judges a quiet window. `sloguard discover` lists what can be broken.
method: []
rollbacks: []
"""
