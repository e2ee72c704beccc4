"""Workers as Jobs of a cluster: made once for each taking of a job, seen by two lists for all of them."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from sloguard.adapters.kubernetes_job_objects import (
    EXECUTOR,
    TAKING,
    Home,
    JobShape,
    job_name,
    job_object,
)
from sloguard.adapters.kubernetes_job_states import seen
from sloguard.ports import (
    Cluster,
    ClusterError,
    ClusterExists,
    ClusterForbidden,
    ClusterNotFound,
    ClusterUnreachable,
    Object,
)
from sloguard.ports.resources import JOBS, PODS, REPLICA_SETS, STATEFUL_SETS
from sloguard.ports.service import Job, NoPlaceNow, SeenWorker, ServiceError, taking_of

log = logging.getLogger(__name__)

#: The server's times have to hold when a Job ends, too.
LONGEST_SECONDS = 10 * 365 * 86400.0
_MAKERS = {kind.kind: kind for kind in (REPLICA_SETS, STATEFUL_SETS)}


class KubernetesJobs:
    """ports.service.SharedExecutor.

    ``namespace`` empty: the service's own. ``deadline`` gives the seconds that a job may take at most. What the
    service's own pod is made of is read when the first Job is made, and kept: a service that is rolled out anew
    is another process.
    """

    def __init__(
        self,
        cluster: Callable[[], Cluster],
        shape: JobShape,
        *,
        namespace: str = "",
        deadline: Callable[[Job], float],
    ) -> None:
        self._cluster, self._shape = cluster, shape
        self._wanted, self._deadline = namespace, deadline
        self._home: Home | None = None
        self._guard = threading.Lock()

    def handle_of(self, job: Job) -> str:
        """The name of the Job of this taking, whoever makes it."""
        return job_name(job.id, taking_of(job.claim))

    def start(self, job: Job) -> str:
        """Make the Job, or find that it was made; its name. Raises ServiceError where it is not there;
        NoPlaceNow where the cluster is away, or a quota of its is used up."""
        handle = self.handle_of(job)
        try:
            body = self.body(job)
            self._cluster().create(JOBS, body)
        except ClusterExists:
            log.info("job %s: %s is there already", job.id, handle)
        except (ClusterError, ValueError) as error:
            # Where the answer was lost it may be there all the same: its claim is void once this job has another.
            kind = NoPlaceNow if _passes(error) else ServiceError
            raise kind(f"no Job could be made: {error}") from error
        return handle

    def body(self, job: Job) -> Object:
        """The Job as it will be sent. Raises ClusterError, and ValueError for settings that do not fit."""
        cluster, seconds = self._cluster(), min(self._deadline(job), LONGEST_SECONDS)
        namespace, home = self._namespace(), self._own_home()
        if namespace != cluster.whereabouts().namespace:
            # An owner in another namespace counts as one that is gone: the Job would be deleted at once.
            home = replace(home, owner=None)
        return job_object(
            run=job.id,
            taking=taking_of(job.claim),
            namespace=namespace,
            deadline=seconds,
            home=home,
            shape=self._shape,
            expected_by=cluster.now() + seconds,
        )

    def alive(self, handle: str) -> bool:
        """Whether that worker may still run."""
        try:
            found = self._cluster().get(JOBS, handle, self._namespace())
        except ClusterNotFound:
            return False
        return not (found.get("status") or {}).get("conditions")

    def stop(self, handle: str) -> None:
        """Delete the Job: its pod gets SIGTERM, and time to undo. It is gone once its pod is."""
        try:
            self._cluster().delete(JOBS, handle, self._namespace(), propagation="Foreground")
        except ClusterNotFound:
            return
        except ClusterError as error:
            log.warning("%s could not be deleted: %s", handle, error)

    def look(self) -> Mapping[str, SeenWorker]:
        """Every worker of this executor, by the names of their Jobs. Raises ClusterError."""
        cluster, namespace = self._cluster(), self._namespace()
        labels = f"{EXECUTOR}={self._shape.name}"
        # Pods first: a Job whose pods are not there yet is one that waits, and not one that has lost them.
        pods: defaultdict[str, list[Object]] = defaultdict(list)
        for pod in cluster.list(PODS, namespace, labels=labels):
            pods[_taking(pod)].append(pod)
        now, found = cluster.now(), {}
        for job in cluster.list(JOBS, namespace, labels=labels):
            name = str(job["metadata"]["name"])
            found[name] = seen(name, job, pods.pop(_taking(job), []), now)
        for taking, left in pods.items():
            run = str(left[0]["metadata"]["labels"].get("sloguard.io/run", ""))
            name = job_name(run, taking)
            found[name] = seen(name, None, left, now)
        return found

    def _namespace(self) -> str:
        if self._wanted:
            return self._wanted
        cluster = self._cluster()
        return cluster.whereabouts().namespace or cluster.own_namespace

    def _own_home(self) -> Home:
        with self._guard:
            if self._home is None:
                self._home = home_of(self._cluster())
            return self._home


def _passes(error: Exception) -> bool:
    """Whether the same may be taken later."""
    full = isinstance(error, ClusterForbidden) and "exceeded quota" in str(error)
    return full or isinstance(error, ClusterUnreachable)


def _taking(obj: Object) -> str:
    return str((obj["metadata"].get("labels") or {}).get(TAKING, ""))


def home_of(cluster: Cluster) -> Home:
    """What this process's own pod is made of; nothing where it is none. Raises ClusterError.

    The template is that of its ReplicaSet: as the pod was asked for, without what was added on its way into
    the cluster, and of the same rollout as this process.
    """
    here = cluster.whereabouts()
    if not here.pod:
        return Home(template={})
    pod = cluster.get(PODS, here.pod, here.namespace)
    maker = _controller(pod)
    if maker is None or maker["kind"] not in _MAKERS:
        # A bare pod, or an unknown owner's: what it is itself, less what the cluster gave it.
        return Home(template=_plain(pod), owner=None if maker is None else _reference(maker))
    found = cluster.get(_MAKERS[maker["kind"]], maker["name"], here.namespace)
    # A Job has to outlive its pod, and a rollout's ReplicaSet: it belongs to the Deployment above them.
    above = _controller(found) or maker
    return Home(template=found["spec"]["template"], owner=_reference(above))


def _controller(obj: Object) -> Object | None:
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def _reference(owner: Object) -> Object:
    """So that the Jobs go with it; nobody has to wait for them, and nobody else manages them."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["name"],
        "uid": owner["uid"],
        "controller": False,
        "blockOwnerDeletion": False,
    }


def _plain(pod: Object) -> Object:
    """A pod as a template: without the node, and without the token's volume that admission adds."""
    spec = {
        k: v
        for k, v in pod["spec"].items()
        if k not in ("nodeName", "priority", "preemptionPolicy", "ephemeralContainers")
    }
    added = {
        v["name"] for v in spec.get("volumes") or [] if v["name"].startswith("kube-api-access-")
    }
    spec["volumes"] = [v for v in spec.get("volumes") or [] if v["name"] not in added]
    for name in ("containers", "initContainers"):
        if name in spec:
            spec[name] = [
                {
                    **one,
                    "volumeMounts": [
                        mount
                        for mount in one.get("volumeMounts") or []
                        if mount["name"] not in added
                    ],
                }
                for one in spec[name]
            ]
    return {"spec": spec}
