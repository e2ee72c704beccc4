"""Write the generated parts of deploy/: experiments, exactly the rights they need, alerts, dashboards.

``python -m scripts.deploy`` writes, ``--check`` fails where something is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click.testing
import yaml

ROOT = Path(__file__).resolve().parents[1]
OVERLAYS = ROOT / "deploy" / "overlays"
COMPONENTS = ROOT / "deploy" / "components"
EXPERIMENTS = ROOT / "experiments" / "kubernetes"

#: Overlay -> its service account in the namespace sloguard.
ACCOUNTS: Mapping[str, str] = {
    "namespace": "sloguard",
    "cluster": "sloguard",
    "random-chaos": "sloguard-random-chaos",
    "one-shot": "sloguard-one-shot",
}
#: What a service recovers by the records on the cluster's objects, the others leave to it.
RECOVERING = ("namespace", "cluster")


def home_of(overlay: str) -> Path:
    """Where the experiments and roles of an overlay stand: in the component that it consists of, if it does."""
    component = COMPONENTS / overlay
    return component if component.is_dir() else OVERLAYS / overlay


def experiments_of(overlay: str) -> list[Path]:
    """The experiments that the ConfigMap of an overlay holds, by their original files."""
    declared = yaml.safe_load((home_of(overlay) / "kustomization.yaml").read_text("utf-8"))
    files = [file for made in declared["configMapGenerator"] for file in made["files"]]
    return [EXPERIMENTS / Path(file).name for file in files if file.startswith("experiments/")]


def rights_of(overlay: str, format_: str = "yaml") -> str:
    """What ``sloguard rbac`` says these experiments need, for the overlay's service account."""
    from sloguard.cli.rbac import command

    account = ACCOUNTS[overlay]
    arguments = [*map(str, experiments_of(overlay)), "--name", account]
    arguments += ["--service-account", f"sloguard/{account}", "--format", format_]
    if overlay in RECOVERING:
        arguments.append("--recover")
    # As in the overlay's pod: no kubeconfig, and a namespace of its own.
    surroundings = {"SLOGUARD_CONFIG": None, "SLOGUARD_KUBERNETES_NAMESPACE": "sloguard"}
    ran = click.testing.CliRunner().invoke(command, arguments, env=surroundings)
    if ran.exit_code:
        raise SystemExit(f"sloguard rbac for {overlay} ended with {ran.exit_code}: {ran.output}")
    return ran.stdout


def rights_of_executor(format_: str = "yaml") -> str:
    """What the service needs to run Jobs, as ``sloguard rbac --executor`` says it."""
    from sloguard.cli.rbac import command

    arguments = ["--executor", "--name", "sloguard-executor", "--format", format_]
    arguments += ["--service-account", "sloguard/sloguard"]
    surroundings = {"SLOGUARD_CONFIG": None, "SLOGUARD_KUBERNETES_NAMESPACE": "sloguard"}
    ran = click.testing.CliRunner().invoke(command, arguments, env=surroundings)
    if ran.exit_code:
        raise SystemExit(f"sloguard rbac --executor ended with {ran.exit_code}: {ran.output}")
    return ran.stdout


def rule_of() -> str:
    """sloguard's own alerts, as the Prometheus operator takes them."""
    groups = yaml.safe_load((ROOT / "rules" / "sloguard.yaml").read_text("utf-8"))
    labels = {"app.kubernetes.io/name": "sloguard"}
    made = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "sloguard", "namespace": "sloguard", "labels": labels},
        "spec": groups,
    }
    return yaml.safe_dump(made, sort_keys=False, width=120, allow_unicode=True)


def generated() -> Iterator[tuple[Path, str]]:
    """(File, what has to stand in it) of every generated file."""
    head = "# Made by 'python -m scripts.deploy' from rules/sloguard.yaml; do not edit.\n"
    yield ROOT / "deploy" / "components" / "monitoring" / "prometheusrule.yaml", head + rule_of()
    for file in sorted((ROOT / "grafana" / "dashboards").glob("*.json")):
        yield COMPONENTS / "grafana" / "dashboards" / file.name, file.read_text("utf-8")
    head = "# Made by 'python -m scripts.deploy' by 'sloguard rbac --executor'; do not edit.\n"
    yield COMPONENTS / "kubernetes-executor" / "rbac.yaml", head + rights_of_executor()
    for overlay in ACCOUNTS:
        folder = home_of(overlay)
        head = "# Made by 'python -m scripts.deploy' from what the experiments here need; do not edit.\n"
        yield folder / "rbac.yaml", head + rights_of(overlay)
        for file in experiments_of(overlay):
            yield folder / "experiments" / file.name, file.read_text("utf-8")


def stale() -> list[Path]:
    """The files that are not as they would be written now, or that nothing needs any more."""
    wanted = dict(generated())
    found = [f for f, text in wanted.items() if not f.exists() or f.read_text("utf-8") != text]
    kept = [f for overlay in ACCOUNTS for f in (home_of(overlay) / "experiments").glob("*")]
    kept += (COMPONENTS / "grafana" / "dashboards").glob("*")
    return sorted([*found, *(file for file in kept if file not in wanted)])


def write() -> None:
    """Bring all of them up to date."""
    wanted = dict(generated())
    for file in stale():
        if file in wanted:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[file], "utf-8")
        else:
            file.unlink()


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        left = stale()
        if left:
            names = ", ".join(str(file.relative_to(ROOT)) for file in left)
            raise SystemExit(f"stale: {names}\nrun: python -m scripts.deploy")
    else:
        write()
