"""Manifests of deploy/ on a cluster of a test: in namespaces and under names that are the test's own."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sloguard.ports import ClusterNotFound, Object, Resource
from tests.support import schemas
from tests.support.accounts import Account
from tests.support.clusters import DEFINITIONS, Ground

APPLY = "application/apply-patch+yaml"
#: Whatever starts pods is only tried out: no image is there, and no chaos is wanted.
TRIED = ("Namespace", "Deployment", "Job", "CronJob")
_CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding")


class Stage:
    """Where the objects of a build are applied. Namespaces are made as they are named for the first time."""

    def __init__(self, ground: Ground, objects: Sequence[Object]) -> None:
        self.ground = ground
        self._declared = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Namespace"}
        self._places: dict[str, str] = {}
        self.objects = [self._moved(one) for one in objects]

    def place(self, namespace: str) -> str:
        """What a namespace of the manifests is called here; it bears the labels that it is declared with."""
        if namespace not in self._places:
            declared = self._declared.get(namespace, {"metadata": {}})
            labels = declared["metadata"].get("labels") or {}
            self._places[namespace] = self.ground.namespace(namespace, **labels)
        return self._places[namespace]

    def _moved(self, obj: Object) -> Object:
        made = copy.deepcopy(obj)
        about = made["metadata"]
        if made["kind"] == "Namespace":
            about["name"] = self.place(about["name"])
        if made["kind"] in _CLUSTER_WIDE:
            about["name"] = f"{about['name']}-{self.ground.mark}"
        if "namespace" in about:
            about["namespace"] = self.place(about["namespace"])
        if made.get("roleRef", {}).get("kind") == "ClusterRole":
            made["roleRef"]["name"] += f"-{self.ground.mark}"
        for subject in made.get("subjects", []):
            subject["namespace"] = self.place(subject["namespace"])
        return made

    def apply(self, kinds: Iterable[str] | None = None) -> list[Object]:
        """What the server makes of all of them, or of these kinds; unknown fields are refused."""
        chosen = [o for o in self.objects if kinds is None or o["kind"] in kinds]
        # Accounts before who uses them.
        chosen.sort(key=lambda o: o["kind"] not in ("Namespace", "ServiceAccount"))
        return [self.apply_one(one, dry_run=one["kind"] in TRIED) for one in chosen]

    def apply_one(
        self, obj: Object, *, dry_run: bool = False, manager: str = "sloguard-test", **query: str
    ) -> Object:
        """One object, by server-side apply."""
        resource, about = self.resource(obj), obj["metadata"]
        where = f"/namespaces/{about['namespace']}" if "namespace" in about else ""
        group = f"/apis/{obj['apiVersion']}" if resource.group else "/api/v1"
        asked = {"fieldManager": manager, "fieldValidation": "Strict", **query}
        if dry_run:
            asked["dryRun"] = "All"
        made = self.ground.direct._http.request(
            "PATCH",
            f"{group}{where}/{resource.plural}/{about['name']}",
            asked,
            obj,
            content_type=APPLY,
            again=True,
        )
        if not dry_run and not resource.namespaced:
            self.ground._made.append((resource, about["name"]))
        return dict(made)

    def resource(self, obj: Object) -> Resource:
        """Its kind on this cluster; an operator's kind is defined first, where it is not there."""
        served = str(obj["apiVersion"]), str(obj["kind"])
        try:
            return self.ground.direct.resource(*served)
        except ClusterNotFound:
            return self._define(served)

    def _define(self, served: tuple[str, str]) -> Resource:
        body = copy.deepcopy(schemas.definitions()[served])
        names, spec = body["spec"]["names"], body["spec"]
        self.ground.direct.create(DEFINITIONS, body)
        version = spec["versions"][0]["name"]
        resource = Resource(spec["group"], version, names["plural"], names["kind"], True)
        # Deleted after the last test, as all that are shared.
        self.ground.shared[f"{served}"] = resource
        self.ground.eventually(lambda: self.ground._serves(resource), f"{served} is not served")
        return resource

    def account(self, name: str, folder: Path, namespace: str = "sloguard") -> Account:
        """A service account that the build has made, with a token of its own."""
        return Account(self.ground, folder, name, self.place(namespace))

    def pod(self, namespace: str, template: Object) -> Object:
        """A pod of this template, as the server would admit it there; it is only tried out."""
        from sloguard.ports.resources import PODS

        about = {
            **template.get("metadata", {}),
            "name": "tried",
            "namespace": self.place(namespace),
        }
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": about}
        return self.ground.direct.create(PODS, {**body, "spec": template["spec"]}, dry_run=True)
