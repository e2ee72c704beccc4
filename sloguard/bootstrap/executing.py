"""Who carries runs out: processes beside the service, or Jobs of the cluster; and who looks after faults on it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sloguard.bootstrap.outside import open_clusters
from sloguard.bootstrap.running import options
from sloguard.bootstrap.telling import open_notices

if TYPE_CHECKING:
    from sloguard.adapters.kubernetes_job_objects import JobShape
    from sloguard.adapters.kubernetes_jobs import KubernetesJobs
    from sloguard.adapters.store import Store
    from sloguard.ports.orphans import Orphan
    from sloguard.ports.service import Job, Leases
    from sloguard.service.catalogue import Catalogue
    from sloguard.service.executor import Dispatcher
    from sloguard.service.following import Follower
    from sloguard.service.orphans import OrphanWatch
    from sloguard.settings import Settings

#: A label's value, as Kubernetes takes it.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
#: Flags of 'sloguard serve' that are the web pages' own: no worker has a use for them.
_WEB_ONLY = ("serve.bind", "serve.workers", "serve.auth")


def executor_misfits(settings: Settings) -> list[tuple[str, str, str, str]]:
    """What keeps Jobs of a cluster from carrying runs out: (setting, what is wrong, what is expected, what to do).

    Nothing is asked of the cluster: it may be away when the service starts.
    """
    found: list[tuple[str, str, str, str]] = []
    group = settings.executor
    if settings.serve.executor != "kubernetes":
        return found
    from sloguard.adapters.store.database import store_url
    from sloguard.ports import OutsideError

    try:
        is_file = store_url(settings.store.url).get_backend_name() == "sqlite"
    except OutsideError:
        is_file = False  # told of already
    if is_file:
        why = "serve.executor is kubernetes, and this store is a file that no other pod can write"
        hint = "set store.url or store.url_file, or leave serve.executor local"
        found.append(("store.url", why, "postgresql://USER@HOST/DATABASE", hint))
    for name, origin in settings.origins.items():
        if origin == "command line" and name not in _WEB_ONLY:
            why = "it is given by a flag, and workers are pods of their own, which do not see it"
            found.append((name, why, "a variable of the pod, or the settings file", ""))
    for name, value in [("executor.name", group.name), *_labels(group.labels)]:
        if not _LABEL.fullmatch(value):
            why = f"it is the value of a label, and '{value[:80]}' cannot be one"
            expected = (
                "at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends"
            )
            found.append((name, why, expected, ""))
    for text in group.tolerations:
        try:
            _toleration(text)
        except ValueError as error:
            found.append(("executor.tolerations", str(error), "", ""))
    if group.pod_template is not None:
        try:
            _fragment(group.pod_template)
        except ValueError as error:
            found.append(("executor.pod_template", str(error), "", ""))
    return found


def _labels(given: Mapping[str, str]) -> list[tuple[str, str]]:
    # An empty value is one.
    return [("executor.labels", value) for value in given.values() if value]


def job_shape(settings: Settings) -> JobShape:
    """What the Jobs look like. Raises ValueError for settings that do not fit."""
    from sloguard.adapters.kubernetes_job_objects import JobShape

    group = settings.executor
    return JobShape(
        name=group.name,
        image=group.image,
        service_account=group.service_account,
        container=group.container,
        requests=group.requests,
        limits=group.limits,
        labels=group.labels,
        annotations=group.annotations,
        node_selector=group.node_selector,
        tolerations=[_toleration(text) for text in group.tolerations],
        grace=int(group.grace),
        ttl=group.ttl_seconds_after_finished,
        over=_fragment(group.pod_template) if group.pod_template else {},
    )


def _toleration(text: str) -> dict[str, Any]:
    from sloguard.adapters.kubernetes_job_objects import toleration

    return toleration(text)


def _fragment(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(file.expanduser().read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{file} cannot be read: {reason}") from error
    if not isinstance(found, Mapping) or not set(found) <= {"metadata", "spec"}:
        raise ValueError(f"{file} is no part of a PodTemplateSpec: it may have metadata and spec")
    return found


def kubernetes_jobs(settings: Settings, known: Catalogue) -> KubernetesJobs:
    """Workers as Jobs of the cluster of the settings. Raises OutsideError for settings that do not fit."""
    from sloguard.adapters.kubernetes_jobs import KubernetesJobs
    from sloguard.ports.service import ServiceError

    clusters = open_clusters(settings)
    try:
        shape = job_shape(settings)
    except ValueError as error:
        raise ServiceError(f"the settings of the executor do not fit: {error}") from error
    return KubernetesJobs(
        lambda: clusters(None),
        shape,
        namespace=settings.executor.namespace,
        deadline=lambda job: _deadline(settings, known, job),
    )


def _deadline(settings: Settings, known: Catalogue, job: Job) -> float:
    """Seconds that the Job of this job may take, waiting for a node included."""
    from sloguard.service.lasting import JUDGING_SECONDS, UNKNOWN_RUN_SECONDS, longest

    group = settings.executor
    if group.deadline:
        return group.deadline
    waiting = group.pending
    if job.kind != "run":
        return waiting + JUDGING_SECONDS
    try:
        from sloguard.spec import load

        entry = known.get(job.experiment)
        # Without its probes: these are the worker's to ask.
        experiment = load(entry.file, variables=job.variables, slo_roots=known.slo_roots)
        return waiting + longest(experiment, options(settings))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, its worker tells of it
        import logging

        told = "job %s: how long it can take is not known: %s"
        logging.getLogger(__name__).warning(told, job.id, error)
        return waiting + UNKNOWN_RUN_SECONDS


def dispatcher(
    settings: Settings,
    store: Store,
    known: Catalogue,
    *,
    environ: Mapping[str, str],
    logs: Path,
    ended: Callable[[], object],
) -> tuple[Dispatcher | Follower, str, Callable[[], Collection[str]]]:
    """What takes jobs; and for the janitor the executor whose waiting jobs it leaves alone, and what gives those whose
    workers are known to be over. Raises OutsideError."""
    import socket
    import sys

    from sloguard.ports.service import ServiceError

    group = settings.serve
    if group.executor == "local":
        from sloguard.service.executor import Dispatcher, LocalExecutor

        command = (sys.executable, "-m", "sloguard", "worker", "job")
        # The same after a restart, so that what still runs counts.
        made = Dispatcher(
            store,
            LocalExecutor(command, logs, environ),
            name=socket.gethostname(),
            limit=group.concurrency,
            ended=ended,
        )
        return made, "", tuple
    for name, why, expected, _ in executor_misfits(settings):
        raise ServiceError(f"{name}: {why}; expected {expected}" if expected else f"{name}: {why}")
    from sloguard.service.following import Follower

    follower = Follower(
        store,
        kubernetes_jobs(settings, known),
        # The same for all replicas: they share one limit, and each looks after the workers of all.
        name=f"kubernetes:{settings.executor.namespace}:{settings.executor.name}",
        limit=group.concurrency,
        pending=settings.executor.pending,
        ended=ended,
    )
    return follower, follower.name, lambda: follower.gone


def orphan_watch(
    settings: Settings, store: Store, *, name: str, mended: Callable[[], object]
) -> OrphanWatch | None:
    """What looks for faults on the cluster whose runs are dead; None where nobody is to look."""
    group = settings.janitor
    inside = bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    if group.cluster == "off" or (group.cluster == "auto" and not inside):
        return None
    from sloguard.service.orphans import OrphanWatch

    clusters = open_clusters(settings)
    leases: Leases = store
    if inside:
        from sloguard.adapters.kubernetes_leader import ClusterLeases

        leases = ClusterLeases(lambda: clusters(None))
    return OrphanWatch(
        store,
        clusters,
        leases,
        name=name,
        every=group.every,
        namespaces=group.namespaces or None,
        told=lambda orphan: tell_orphan(settings, store, orphan),
        mended=mended,
    )


def tell_orphan(settings: Settings, store: Store, orphan: Orphan) -> None:
    """People are told of a fault that could not be undone, as of a run that left one."""
    import time

    notices = open_notices(settings)
    if notices is None:
        return
    headline = f"{orphan.target}: a fault is still there, and its run is dead. It has to be undone by hand."
    reason = f"{orphan.fault} of run {orphan.run}: {orphan.detail}; by hand: {orphan.by_hand}"
    said = notices.said(
        "fault-left", time.time(), about=orphan.id, headline=headline, reason=reason
    )
    store.put(list(said))
