"""How runs are carried out by Jobs of a cluster, and how the service looks after faults on it."""

# ruff: noqa: RUF009 - setting makes a dataclasses.field, which is what may stand there

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sloguard.settings.fields import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSettings:
    """Runs as Jobs of the cluster, with serve.executor: kubernetes."""

    name: str = setting(
        "sloguard",
        "Tells the Jobs of this service from those of others in the namespace; the same for all of its replicas.",
    )
    namespace: str = setting("", "Namespace of the Jobs.", shown="the service's own")
    image: str = setting("", "Image of the workers.", shown="that of the service's own pod")
    service_account: str = setting(
        "", "Service account of the workers.", shown="that of the service's own pod"
    )
    container: str = setting(
        "",
        "Container of the service's pod that the worker's is made of.",
        shown="sloguard, else the first one",
    )
    requests: Mapping[str, str] = setting(
        {}, "Resources that a worker asks for.", "mapping", shown="cpu=100m, memory=256Mi"
    )
    limits: Mapping[str, str] = setting(
        {},
        "Resources that a worker may take.",
        "mapping",
        shown="memory=1Gi, or what is asked for where that is more",
    )
    deadline: float = setting(
        0.0,
        "A Job is stopped, and undoes, after so long (activeDeadlineSeconds); 0: the longest time that its "
        "experiment can take.",
        "duration",
        least=0,
    )
    pending: float = setting(
        300.0,
        "A worker that has not begun after so long (no node, no image) is taken back, and tried again.",
        "duration",
        above=0,
    )
    grace: float = setting(
        300.0,
        "How long a worker that is stopped may undo before it is killed (terminationGracePeriodSeconds).",
        "duration",
        least=10,
    )
    ttl_seconds_after_finished: int = setting(
        3600, "A Job that is over is deleted after so long, and its log with it.", "whole", least=60
    )
    labels: Mapping[str, str] = setting({}, "More labels of Jobs and their pods.", "mapping")
    annotations: Mapping[str, str] = setting({}, "More annotations of the pods.", "mapping")
    node_selector: Mapping[str, str] = setting(
        {},
        "Labels of the nodes on which workers run.",
        "mapping",
        shown="those of the service's own pod",
    )
    tolerations: tuple[str, ...] = setting(
        (),
        "Taints that workers bear, KEY=VALUE:EFFECT or KEY:EFFECT, beside those that the service's own pod does.",
        "list",
    )
    pod_template: Path | None = setting(
        None,
        "File (YAML) with a part of a PodTemplateSpec that is laid over what sloguard makes.",
        "path",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JanitorSettings:
    """Faults on the cluster whose runs are dead, whoever ran them; found by the records on its objects."""

    cluster: str = setting(
        "auto",
        "Whether the service looks for them; auto: where it runs in a pod.",
        "choice",
        choices=("auto", "on", "off"),
    )
    every: float = setting(60.0, "How often it looks; also at its start.", "duration", least=5)
    namespaces: tuple[str, ...] = setting(
        (), "Namespaces in which it looks.", "list", shown="all, and nodes"
    )
