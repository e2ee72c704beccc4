"""``configuration`` and ``secrets`` of a file into values, as the Chaos Toolkit resolves them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sloguard.core.masking import Masker
from sloguard.core.model import Activity, Json
from sloguard.documents.problems import did_you_mean
from sloguard.documents.tree import Node, implant, join
from sloguard.spec.errors import FAILED, Reader
from sloguard.spec.experiments import CONFIGURATION_PROBE, ENV, SECRET_ENV
from sloguard.spec.overrides import Overrides, convert

#: Carries out a probe of the configuration: (activity, configuration so far, secrets) -> its output.
RunProbe = Callable[..., Any]
#: Reads a secret that is declared with ``type: vault``: (declaration, configuration) -> its value.
ReadVault = Callable[[Mapping[str, Json], Mapping[str, Json]], Any]


@dataclass(slots=True)
class Variables:
    """Resolved values. ``probes``: configuration that only a probe can tell, with its place."""

    configuration: dict[str, Json] = field(default_factory=dict)
    secrets: dict[str, Json] = field(default_factory=dict)
    probes: dict[str, Node] = field(default_factory=dict)


def resolve_variables(
    root: Node,
    overrides: Overrides,
    environ: Mapping[str, str],
    reader: Reader,
    read_vault: ReadVault | None = None,
) -> Variables:
    """Everything but the probes; reports what is wrong to ``reader``."""
    found = Variables()
    _Configuration(overrides, environ, reader).resolve(root.get("configuration"), found)
    secrets = root.get("secrets")
    if secrets is not None and secrets.is_mapping:
        resolver = _Secrets(environ, reader, found.configuration, read_vault)
        found.secrets = resolver.group(secrets, overrides.secrets, "secrets")
    _warn_of_strangers(root, overrides, reader)
    return found


def run_probes(
    found: Variables,
    run_probe: RunProbe,
    reader: Reader,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Carry out the probes of the configuration, in its order; a failure is a problem.

    A probe sees the configuration above it, and all secrets. The Chaos Toolkit leaves a failed one out and
    goes on with a ``${name}`` that nobody replaces; here nothing is touched then. ``environment``: what
    variable files add to the environment, given to a ``run_probe`` that takes an argument of this name.
    """
    masker = Masker.of(found.secrets)
    more: dict[str, Any] = {}
    if "environment" in inspect.signature(run_probe).parameters:
        more["environment"] = dict(environment or {})
    values: dict[str, Json] = {}
    for name, value in found.configuration.items():
        node = found.probes.get(name)
        if node is None:
            values[name] = value
            continue
        activity = _probe_activity(name, value, found.secrets)
        try:
            output = run_probe(activity, dict(values), found.secrets, **more)
            values[name] = _taken(activity.provider["type"], output)
        except Exception as error:  # noqa: BLE001 - whatever a probe raises is its failure
            reason = masker.text(str(error).strip() or type(error).__name__)
            message = f"the probe gave no value: {reason}"
            reader.problem(node, join("configuration", name), message)
    found.configuration = values
    found.probes = {}


def _probe_activity(name: str, declared: Any, secrets: Mapping[str, Json]) -> Activity:
    provider = {k: v for k, v in declared["provider"].items() if v is not None}
    provider["secrets"] = list(secrets)
    return Activity(
        key=f"configuration.{name}",
        kind="probe",
        name=str(declared.get("name") or name),
        provider=provider,
        declared=declared,
    )


def _taken(kind: str, output: Any) -> Any:
    """What becomes the value: a function's result, a process's output, the body of an answer."""
    if kind == "python" or not isinstance(output, Mapping):
        return output
    if kind == "http":
        return output.get("body")
    if output.get("status") != 0:
        said = str(output.get("stderr") or "").strip()
        raise ValueError(
            f"the process ended with {output.get('status')}: {said[:200]}".rstrip(": ")
        )
    return str(output.get("stdout", "")).strip()


class _Configuration:
    def __init__(self, overrides: Overrides, environ: Mapping[str, str], reader: Reader) -> None:
        self.overrides = overrides.configuration
        self.environ = environ
        self.reader = reader

    def resolve(self, section: Node | None, found: Variables) -> None:
        if section is None or not section.is_mapping:
            return
        for name, node in section.value.items():
            path = join("configuration", name)
            if name in self.overrides:
                node = implant(self.overrides[name], node)
            kind = node.get("type")
            if kind is None or kind.value not in ("env", "probe"):
                found.configuration[name] = node.plain()
            elif kind.value == "env":
                found.configuration[name] = self._environment(node, path)
            else:
                CONFIGURATION_PROBE.read(node, path, self.reader)
                found.configuration[name] = node.plain()
                found.probes[name] = node

    def _environment(self, node: Node, path: str) -> Any:
        if ENV.read(node, path, self.reader) is FAILED:
            return None
        entry = node.plain()
        key = entry["key"]
        if key not in self.environ and "default" not in entry:
            message = f"the environment variable {key} is not set, and there is no default"
            hint = f"set {key}, add 'default', or give --var {path.partition('.')[2]}=…"
            self.reader.problem(node, path, message, hint=hint)
            return None
        try:
            return convert(entry.get("env_var_type"), self.environ.get(key, entry.get("default")))
        except ValueError as error:
            what = f"the environment variable {key}" if key in self.environ else "the default"
            self.reader.problem(node, path, f"{what}: {error}")
            return None


class _Secrets:
    def __init__(
        self,
        environ: Mapping[str, str],
        reader: Reader,
        configuration: Mapping[str, Json],
        read_vault: ReadVault | None,
    ) -> None:
        self.environ = environ
        self.reader = reader
        self.configuration = configuration
        self.read_vault = read_vault

    def group(self, node: Node, overrides: Mapping[str, Json], path: str) -> dict[str, Json]:
        """A group of secrets; an override replaces a whole entry, and entries only that are mappings."""
        found: dict[str, Json] = {}
        for name, child in node.value.items():
            where = join(path, name)
            replaced = child.is_mapping and overrides.get(name) is not None
            entry = implant(overrides[name], child) if replaced else child
            found[name] = self._entry(entry, where)
            if (
                path == "secrets"
                and not isinstance(found[name], Mapping)
                and found[name] is not None
            ):
                message = "a secret outside a group: neither ${…} nor a provider can reach it"
                self.reader.warn(child, where, message, "secrets: {group: {name: value}}")
        return found

    def _entry(self, node: Node, path: str) -> Any:
        if not node.is_mapping:
            return node.plain()
        kind = node.get("type")
        if kind is not None and kind.value == "env":
            return self._environment(node, path)
        if kind is not None and kind.value == "vault":
            return self._vault(node, path)
        return self.group(node, {}, path)

    def _environment(self, node: Node, path: str) -> Any:
        if SECRET_ENV.read(node, path, self.reader) is FAILED:
            return None
        key = node.value["key"].value
        if key not in self.environ:
            message = f"the environment variable {key} is not set"
            hint = "a secret takes no default" if node.get("default") is not None else ""
            self.reader.problem(node, path, message, hint=hint or f"set {key}")
            return None
        return self.environ[key]

    def _vault(self, node: Node, path: str) -> Any:
        if self.read_vault is None:
            return self.reader.problem(
                node,
                path,
                "secrets in Vault need a driver that reads them, and there is none here",
                "a text, or type env",
                "put the secret into the environment, or run this file with the Chaos Toolkit",
            )
        try:
            return self.read_vault(node.plain(), self.configuration)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises is its failure
            reason = f"{type(error).__name__}: {error}"
            return self.reader.problem(node, path, f"Vault did not give the secret: {reason}")


def _warn_of_strangers(root: Node, overrides: Overrides, reader: Reader) -> None:
    """A variable that replaces nothing has no effect: most likely its name is misspelt."""
    for section in ("configuration", "secrets"):
        node = root.get(section)
        known = list(node.value) if node is not None and node.is_mapping else []
        for name in getattr(overrides, section):
            if name not in known:
                message = f"the variable '{name}' is not in '{section}' and has no effect"
                at = root.place(section)
                reader.warn(at, section, message, hint=did_you_mean(name, known))
