"""Load from inside a cluster: a Job with an image of the user's, one an injection, deleted on undo.

What the image is told: its command and arguments, in which ``{url}``, ``{duration}`` (seconds), ``{clients}``,
``{rate}``, ``{method}``, ``{timeout}`` (seconds), ``{host}``, ``{port}`` and ``{path}`` are filled in, and the same as
environment variables, ``SLOGUARD_URL`` and so on.

What it may tell: a JSON object, as the termination message of its container (``/dev/termination-log``, 4 KiB at
most) or at the end of its log, on one line or on several. That is the report, whatever its keys are.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from sloguard.core.model import Json
from sloguard.faults import marking
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.base import Context, FaultError, Injection, Plan, Record
from sloguard.faults.load_pod import CONTAINER, Watching, failure, last_words, terminated
from sloguard.faults.load_pod import LABEL as POD_LABEL
from sloguard.faults.load_report import report_of
from sloguard.faults.marking import LABEL
from sloguard.faults.removing import remove
from sloguard.faults.rights import locking
from sloguard.faults.targets import Namespaces, title
from sloguard.faults.undo_records import ANNOTATION, entries
from sloguard.ports import (
    ClusterBadRequest,
    ClusterExists,
    ClusterInvalid,
    ClusterNotFound,
    ClusterUnreachable,
    Object,
)
from sloguard.ports.resources import JOBS, PODS
from sloguard.ports.rights import Call, Need, on

_FILLED = re.compile(r"\{(url|duration|clients|rate|method|timeout|host|port|path)\}")
#: What is deleted by the cluster itself, should nobody come back for it, seconds after it has ended.
_KEPT_FOR = 600
_LONGEST = 3600.0
_KEYS = {
    "image": str,
    "namespace": str,
    "command": list,
    "args": list,
    "env": dict,
    "resources": dict,
    "service_account": str,
    "labels": dict,
    "annotations": dict,
    "node_selector": dict,
    "image_pull_secrets": list,
    "start_within": (int, float, str),
    "grace": (int, float, str),
}


def needs(call: Call) -> Iterator[Need]:
    """The rights that it takes; none where the load comes from here."""
    given = call["in_cluster"]
    if not given:
        return
    where = (_checked(given).get("namespace", "default"),)
    yield from on(JOBS, "create", "get", "delete", namespaces=where)
    yield from on(PODS, "list", "watch", namespaces=where)
    yield from on(PODS, "get", subresource="log", namespaces=where)
    yield from locking(where)


def plan(
    given: Any, load: Mapping[str, Any], shown: str, context_name: str | None, context: Context
) -> Plan:
    """A Job for this load. ``load``: what is filled in; ``shown``: the URL without secrets."""
    wanted = _checked(given)
    cluster = context.cluster(context_name)
    namespace = wanted.get("namespace", "default")
    start = as_duration(wanted.get("start_within", 60), "in_cluster.start_within", longest=_LONGEST)
    grace = as_duration(wanted.get("grace", 60), "in_cluster.grace", longest=_LONGEST)
    lasts = float(load["duration"]) + float(load["timeout"]) + grace
    load_id = uuid.uuid4().hex
    name = f"sloguard-load-{load_id[:12]}"
    entry = {"id": load_id, "run": context.run, "fault": "load.http_load"}
    body = _job(wanted, load, name, namespace, entry, math.ceil(start + lasts))
    try:
        cluster.create(JOBS, body, dry_run=True)
    except (ClusterInvalid, ClusterBadRequest, ClusterNotFound) as error:
        raise FaultError(f"in_cluster: the Job cannot be created: {error}") from error
    record: dict[str, Json] = {
        "cluster": cluster.name,
        "resource": marking.plain(JOBS),
        "namespace": namespace,
        "name": name,
        "entry": entry,
        "url": shown,
        "start_within": start,
        "lasts": lasts,
    }
    injection = Injection(
        target=f"{load['method']} {shown} from Job {namespace}/{name}",
        record=record,
        lock=f"namespace:{cluster.name}/{namespace}",
        by_hand=marking.by_hand(cluster, JOBS, body, "kubectl delete {object}"),
        private={"job": body},
    )
    how = f"by {wanted['image']} in namespace {namespace}"
    return Plan((injection,), summary=f"send {load['method']} {shown} {how}")


def _checked(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise FaultError(f"in_cluster: expected a mapping with an image, found {given!r}")
    for key, value in given.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(_KEYS)}"
            raise FaultError(f"in_cluster: there is no {key}; {hint}")
        kinds: Any = _KEYS[key]
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            names = kinds if isinstance(kinds, tuple) else (kinds,)
            words = " or ".join(dict.fromkeys(_WORDS[kind] for kind in names))
            raise FaultError(f"in_cluster.{key}: expected {words}, found {value!r}")
    found = {key: value for key, value in given.items() if value is not None}
    if not found.get("image"):
        raise FaultError("in_cluster: say which image sends the load, with image")
    if Namespaces.of(found.get("namespace", "default")).single is None:
        raise FaultError("in_cluster.namespace: expected the name of one namespace")
    return found


_WORDS = {
    str: "a text",
    list: "a list",
    dict: "a mapping",
    int: "seconds, or a text such as 30s",
    float: "seconds, or a text such as 30s",
}


def _job(
    wanted: Mapping[str, Any],
    load: Mapping[str, Any],
    name: str,
    namespace: str,
    entry: Mapping[str, Any],
    deadline: int,
) -> Object:
    mine = {"app.kubernetes.io/managed-by": "sloguard", POD_LABEL: str(entry["id"])}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(wanted, load)],
    }
    if "service_account" in wanted:
        pod["serviceAccountName"] = wanted["service_account"]
    else:
        pod["automountServiceAccountToken"] = False
    if "node_selector" in wanted:
        pod["nodeSelector"] = wanted["node_selector"]
    if "image_pull_secrets" in wanted:
        pod["imagePullSecrets"] = [{"name": secret} for secret in wanted["image_pull_secrets"]]
    about = {
        "labels": {**wanted.get("labels", {}), **mine},
        # What is told to leave a mesh alone, say, is told so here.
        "annotations": dict(wanted.get("annotations", {})),
    }
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**mine, LABEL: "created"},
            "annotations": {ANNOTATION: json.dumps([{**entry, "changes": []}])},
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": deadline,
            "ttlSecondsAfterFinished": _KEPT_FOR,
            "template": {"metadata": about, "spec": pod},
        },
    }


def _container(wanted: Mapping[str, Any], load: Mapping[str, Any]) -> dict[str, Any]:
    parts = urlsplit(str(load["url"]))
    port = parts.port or (443 if parts.scheme == "https" else 80)
    values = {**load, "host": parts.hostname, "port": port, "path": parts.path or "/"}
    told = [
        {"name": f"SLOGUARD_{key.upper()}", "value": _number(value)}
        for key, value in load.items()
        if value is not None
    ]
    made: dict[str, Any] = {
        "name": CONTAINER,
        "image": wanted["image"],
        "env": [*told, *_environment(wanted.get("env", {}), values)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    for key in ("command", "args"):
        if key in wanted:
            made[key] = [
                _filled(str(word), values, f"{key}[{index}]")
                for index, word in enumerate(wanted[key])
            ]
    if "resources" in wanted:
        made["resources"] = wanted["resources"]
    return made


def _environment(given: Mapping[str, Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A name to a text, or to where it comes from: ``{secretKeyRef: {name: …, key: …}}``."""
    return [
        {"name": str(name), "valueFrom": dict(value)}
        if isinstance(value, Mapping)
        else {"name": str(name), "value": _filled(str(value), values, f"env.{name}")}
        for name, value in given.items()
    ]


def _filled(text: str, values: Mapping[str, Any], where: str) -> str:
    def fill(found: re.Match[str]) -> str:
        value = values.get(found[1])
        if value is None:
            raise FaultError(f"in_cluster.{where}: it asks for {found[0]}: give {found[1]}")
        return _number(value)

    return _FILLED.sub(fill, text)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def inject(record: Record, context: Context) -> Json:
    """Create the Job, wait for its end, tell what its container reports. Raises FaultError."""
    cluster = context.cluster(record["cluster"])
    name, namespace = str(record["name"]), str(record["namespace"])
    try:
        cluster.create(JOBS, dict(record["job"]))
    except ClusterExists as error:
        raise FaultError(f"there is a Job {namespace}/{name} already") from error
    except ClusterUnreachable as error:
        if error.applied is False:
            raise
        # Its answer was lost: if it is not there, ClusterNotFound says that nothing was injected.
        cluster.get(JOBS, name, namespace)
    watching = Watching(record, context)
    output: dict[str, Any] = {"url": record["url"], "job": f"{namespace}/{name}"}
    pod = watching.started()
    began = time.monotonic()
    if pod is not None:
        pod = watching.ended()
    if pod is None:
        return {**output, "stopped": True, "report": None}
    output |= {"pod": title(pod), "seconds": round(time.monotonic() - began, 3)}
    ended = terminated(pod)
    if ended is None or ended.get("exitCode") != 0:
        raise FaultError(f"the load in {title(pod)} {failure(pod, ended)}{last_words(pod)}")
    report, where = report_of(cluster, pod, CONTAINER, str(ended.get("message") or ""))
    return {**output, "report": report, "report_from": where}


def undo(record: Record, context: Context) -> str:
    """Delete the Job with its pod; an empty text where there is none (any more)."""
    cluster = context.cluster(record["cluster"])
    name, namespace = str(record["name"]), str(record["namespace"])
    try:
        found = cluster.get(JOBS, name, namespace)
    except ClusterNotFound:
        return ""
    if not any(entry["id"] == record["entry"]["id"] for entry in entries(found)):
        return ""  # somebody else's of the same name
    remove(cluster, JOBS, found, context)
    return f"deleted Job {namespace}/{name}"
