"""``sloguard rbac``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import (
    config_option,
    fail,
    given_variables,
    load_experiment,
    settings_from,
    variable_options,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloguard.engine.rights import Demand
    from sloguard.ports import Resource

#: What a name of Kubernetes may be.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@click.command("rbac")
@click.argument(
    "files",
    metavar="[EXPERIMENT]...",
    nargs=-1,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--service-account",
    "account",
    metavar="NAMESPACE/NAME",
    help="Who gets the rights; without one, the roles alone are printed.",
)
@click.option("--name", default="sloguard", show_default=True, help="Name of what is printed.")
@click.option(
    "--recover",
    is_flag=True,
    help="Also what 'recover --cluster' takes; without an experiment, only that.",
)
@click.option(
    "--executor",
    is_flag=True,
    help="Also what a service takes in its own namespace that runs Jobs (serve.executor: kubernetes).",
)
@click.option("--context", help="Only what is needed on this context of the kubeconfig.")
@config_option
@variable_options
@click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["yaml", "json", "text"]),
    default="yaml",
    show_default=True,
    help="How it is printed.",
)
def command(files: tuple[Path, ...], format_: str, **flags: Any) -> None:
    """Print the smallest roles that let experiments run on Kubernetes. No cluster is asked.

    A Role for each namespace that the experiments name; a ClusterRole only for nodes, and for what is chosen
    from all namespaces. What is printed holds for the values that variables have here and now.

    \b
      sloguard rbac experiment.yaml --service-account chaos/sloguard | kubectl apply -f -
      sloguard rbac experiments/*.yaml --recover --format text
      sloguard rbac --executor --service-account sloguard/sloguard
    """
    account = _account(flags["account"])
    if not _NAME.fullmatch(flags["name"]):
        fail(f"--name: expected a name such as sloguard-shop, found {flags['name']}")
    if not files and not flags["recover"] and not flags["executor"]:
        fail("name an experiment, or give --recover or --executor")
    demands = _demands(files, account, flags)
    if flags["recover"]:
        demands = _with_recovery(demands)
    if flags["executor"]:
        demands = _with_executor(demands, account, flags)
    wanted = flags["context"]
    if wanted is not None:
        demands = [one for one in demands if one.context in (wanted, None)]
    click.echo(_shown(demands, flags["name"], account, format_), nl=False)


def _account(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    namespace, slash, name = text.partition("/")
    if not slash or not _NAME.fullmatch(namespace) or not _NAME.fullmatch(name):
        fail(f"--service-account: expected NAMESPACE/NAME, found {text}")
    return namespace, name


def _demands(
    files: Sequence[Path], account: tuple[str, str] | None, flags: dict[str, Any]
) -> list[Demand]:
    """Of all experiments; ends where one of them cannot be read, or an activity makes no sense."""
    from sloguard.engine.rights import Demands, Standpoint, together
    from sloguard.ports.rights import guessed, known

    settings = settings_from(flags["config"])
    inside = account[0] if account else ""
    own = settings.kubernetes.namespace or inside or "default"
    variables = given_variables(flags["variables"])
    found: list[Demand] = []
    problems: list[str] = []
    guesses: dict[str, None] = {}

    def resource(api_version: str, kind: str) -> Resource:
        found = guessed(api_version, kind)
        if known(found.group, kind) is None:
            guesses[f"{kind} of {api_version} is {found.full_name}"] = None
        return found

    for file in files:
        experiment = load_experiment(file, variables, flags["var_files"], probes=False)
        made = Demands.of(experiment, lambda _context: Standpoint(own, inside, resource))
        found += made.found
        problems += [f"{file}: {activity}: {why}" for activity, why in made.problems]
    if problems:
        fail("\n".join(problems))
    for guess in guesses:
        click.echo(f"warning: guessed, as no cluster is asked: {guess}", err=True)
    return list(together(found))


def _with_recovery(demands: Sequence[Demand]) -> list[Demand]:
    """In the namespaces of the experiments, where they work in no others; else on the whole cluster."""
    from sloguard.engine.rights import recovering, together

    places = {one.need.namespace for one in demands}
    named = [place for place in places if place is not None]
    found = recovering(sorted(named) if demands and None not in places else None)
    return list(together([*demands, *found]))


def _with_executor(
    demands: Sequence[Demand], account: tuple[str, str] | None, flags: dict[str, Any]
) -> list[Demand]:
    """In the namespace of the service, and in that of its Jobs, where this is another one."""
    from sloguard.engine.rights import executing, together

    settings = settings_from(flags["config"])
    inside = account[0] if account else ""
    named, jobs = settings.kubernetes.namespace, settings.executor.namespace
    own = inside or named or jobs or "default"
    return list(together([*demands, *executing(own, jobs=jobs, leads=named)]))


def _shown(
    demands: Sequence[Demand], name: str, account: tuple[str, str] | None, format_: str
) -> str:
    from sloguard.render.rbac import as_yaml, roles, table

    contexts = list(dict.fromkeys(one.context for one in demands)) or [None]
    parts = []
    documents: list[dict[str, Any]] = []
    for context in contexts:
        mine = [one for one in demands if one.context == context]
        made = roles([one.need for one in mine], name=name, account=account)
        documents += made
        notes = [f"on context {context}"] if context else []
        if not made:
            notes.append("nothing of a cluster is touched: no rights are needed")
        if format_ == "text":
            lines = table((one.need, one.activities) for one in mine) if mine else []
            parts.append("\n".join([*notes, *lines]) + "\n")
        else:
            parts.append(as_yaml(made, notes))
    if format_ == "json":
        needs = [_plain(one) for one in demands]
        return json.dumps({"needs": needs, "manifests": documents}, indent=2) + "\n"
    return ("\n" if format_ == "text" else "---\n").join(parts)


def _plain(demand: Demand) -> dict[str, Any]:
    need = demand.need
    return {
        "context": demand.context,
        "verb": need.verb,
        "group": need.resource.group,
        "resource": need.resource.plural,
        "subresource": need.subresource,
        "namespace": need.namespace,
        "name": need.name,
        "for": list(demand.activities),
    }
