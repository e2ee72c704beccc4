"""What an API server would say of a manifest, by schemas alone: those of Kubernetes, and of operators' kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource

from tests.support.command import ROOT

#: Every version of Kubernetes that is promised.
VERSIONS = ("1.31", "1.32", "1.33", "1.34", "1.35", "1.36")
DEFINITIONS = ROOT / "tests" / "fixtures" / "kubernetes" / "definitions"
Object = dict[str, Any]
#: Parts of pods inside of operators' kinds -> what they are to Kubernetes.
CONTAINER = "io.k8s.api.core.v1.Container"
POD_CONTEXT = "io.k8s.api.core.v1.PodSecurityContext"
JOB_SPEC = "io.k8s.api.batch.v1.JobSpec"
VOLUME = "io.k8s.api.core.v1.Volume"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Kubernetes:
    """The schemas of one version, each read and prepared once; unknown fields are refused everywhere."""

    def __init__(self, version: str) -> None:
        folder = (
            files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
        )
        text = (folder / "_definitions.json").read_text("utf-8")
        whole = json.loads(text)
        self._root = whole["$id"]
        self._registry: Registry[Any] = Resource.from_contents(whole) @ Registry()
        self._named = {
            (entry["group"], entry["version"], entry["kind"]): name
            for name, schema in whole["$defs"].items()
            for entry in schema.get("x-kubernetes-group-version-kind", [])
        }
        self._prepared: dict[str, Validator] = {}

    def part(self, value: Any, name: str) -> list[str]:
        """What is wrong with a part of an object; ``name``: of its definition."""
        if name not in self._prepared:
            schema = {"$ref": f"{self._root}#/$defs/{name}"}
            self._prepared[name] = Draft202012Validator(schema, registry=self._registry)
        return _told(self._prepared[name], value)

    def problems(self, obj: Mapping[str, Any]) -> list[str]:
        """What is wrong with a whole object of a kind that Kubernetes itself serves."""
        group, _, version = str(obj["apiVersion"]).rpartition("/")
        name = self._named.get((group, version, str(obj["kind"])))
        if name is None:
            return [f"{obj['apiVersion']} {obj['kind']} is not served"]
        return self.part(obj, name)

    def unknown(self, obj: Mapping[str, Any]) -> list[str]:
        """The paths of fields that the kind does not have; nothing of kinds that are not known here."""
        group, _, version = str(obj["apiVersion"]).rpartition("/")
        name = self._named.get((group, version, str(obj["kind"])))
        if name is None:
            return []
        self.part({}, name)
        found = []
        for error in self._prepared[name].iter_errors(obj):
            if error.validator == "additionalProperties":
                known = error.schema.get("properties") or {}
                place = error.json_path.removeprefix("$").lstrip(".")
                found += [
                    f"{place}.{key}".lstrip(".") for key in error.instance if key not in known
                ]
        return found


@cache
def kubernetes(version: str) -> Kubernetes:
    """Of one of VERSIONS."""
    return Kubernetes(version)


@cache
def definitions() -> Mapping[tuple[str, str], Object]:
    """(apiVersion, kind) -> the definition of an operator's kind, as an API server takes it."""
    found = {}
    for file in sorted(DEFINITIONS.glob("*.yaml")):
        one = yaml.safe_load(file.read_text("utf-8"))
        (version,) = one["spec"]["versions"]
        served = f"{one['spec']['group']}/{version['name']}"
        found[served, one["spec"]["names"]["kind"]] = one
    return found


@cache
def _operators(api_version: str, kind: str) -> Validator:
    (version,) = definitions()[api_version, kind]["spec"]["versions"]
    whole = version["schema"]["openAPIV3Schema"]
    usual = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
    return Draft202012Validator(closed({**whole, "properties": {**usual, **whole["properties"]}}))


def closed(schema: Any) -> Any:
    """A structural schema that refuses fields it does not know, where a server would drop them."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: closed(inner) for name, inner in value.items()}
        if key == "properties"
        else closed(value)
        for key, value in schema.items()
    }
    if "properties" in schema and "additionalProperties" not in schema:
        made["additionalProperties"] = False
    return made


def problems(obj: Mapping[str, Any], version: str) -> list[str]:
    """What this version of Kubernetes would refuse in an object, with the operators' kinds defined."""
    served = str(obj["apiVersion"]), str(obj["kind"])
    if served not in definitions():
        return kubernetes(version).problems(obj)
    found = _told(_operators(*served), obj) + kubernetes(version).part(obj["metadata"], META)
    for name, value in parts_of_pods(obj):
        found += kubernetes(version).part(value, name)
    return found


def parts_of_pods(obj: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(Definition, value) of what operators' kinds take from Kubernetes."""
    spec = obj["spec"]
    for metric in spec.get("metrics", []):
        if "job" in metric["provider"]:
            yield JOB_SPEC, metric["provider"]["job"]["spec"]
    for template in spec.get("templates", []):
        if "container" in template:
            # A workflow's container gets its name from the workflow.
            yield CONTAINER, {"name": "main", **template["container"]}
    for volume in spec.get("volumes", []):
        yield VOLUME, volume
    if "securityContext" in spec:
        yield POD_CONTEXT, spec["securityContext"]


def _told(validator: Validator, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
