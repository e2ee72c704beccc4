"""What the process of a world does."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sloguard.ports import Object, Resource
from sloguard.ports.resources import (
    BUDGETS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    LEASES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    SERVICES,
)
from tests.fakes.kubernetes.answers import Refused
from tests.fakes.kubernetes.api import Request
from tests.support.accounts import Account
from tests.support.clusters import Ground, essence, is_ready
from tests.support.mesh.founding import double_with
from tests.support.mesh.living import Address, Case
from tests.support.mesh.neighbours import install_chaos_mesh
from tests.support.mesh.serving import Served
from tests.support.mesh.world import World

_KINDS = (DEPLOYMENTS, SERVICES, BUDGETS, NETWORK_POLICIES, CONFIG_MAPS, JOBS, LEASES)


class Inside:
    """A cluster, a shop on it, its metrics, and an account that has no rights yet."""

    def __init__(
        self, case: Case, folder: Path, listening: socket.socket, stack: ExitStack
    ) -> None:
        self._case = case
        self._ground = stack.enter_context(double_with(case.shop, folder / "kubeconfig"))
        assert self._ground.double is not None
        self._double = self._ground.double
        self._first = ""
        if case.chaos_mesh:
            install_chaos_mesh(self._ground)
        self._world = stack.enter_context(World(self._ground, case.shop))
        stack.enter_context(Served(self._world, listening))
        self._account = Account(self._ground, folder)

    @property
    def address(self) -> Address:
        """How to come here."""
        account = self._account
        return Address(account.kubeconfig, account.namespace, account.title)

    def do(self, what: str, argument: Any) -> Any:
        """What ``living.Life`` asks for."""
        if what == "give":
            self._account.give(argument)
            self._first = self._double.state.saved()
            if self._case.refusing:
                refuse(self._ground)
        elif what == "reset":
            # Pods are where they were at first, too, and not where a fault has driven them.
            self._double.state.restore(self._first)
        elif what == "complete":
            self._complete_again()
        elif what == "lag":
            found, self._world.lag = self._world.lag, 0.0
            return found
        elif what == "look":
            return self._everything()
        return None

    def _everything(self) -> dict[str, Object]:
        """All objects that a fault could have left changed, without what controllers write; pods counted."""
        namespace = self._case.shop.namespace
        found = {
            f"{resource.kind} {obj['metadata']['name']}": essence(obj)
            for resource in (*_KINDS, self._ground.virtual_services(), NODES)
            for obj in self._all(resource, namespace if resource.namespaced else None)
        }
        names = sorted(str(p["metadata"]["labels"].get("app")) for p in self._ready())
        return {**found, "ready pods": {"of": names}}

    def _complete_again(self) -> None:
        ends = time.monotonic() + 20
        wanted = sum(s.replicas for s in self._case.shop.services)
        while len(self._ready()) < wanted and time.monotonic() < ends:
            time.sleep(0.1)

    def _ready(self) -> list[Object]:
        return [p for p in self._all(PODS, self._case.shop.namespace) if is_ready(p)]

    def _all(self, resource: Resource, namespace: str | None) -> list[Object]:
        found = self._double.state.all(resource.kind, namespace)
        return [{**obj, "kind": resource.kind} for obj in found]


def refuse(ground: Ground) -> None:
    """Let the cluster refuse every change from now on, but for locks and for what is only tried out."""
    double = ground.double
    assert double is not None

    def is_there(path: str) -> bool:
        try:
            return double.api.handle(Request("GET", path))[0] == 200
        except Refused:
            return False

    def is_change(request: Request) -> bool:
        if request.method == "DELETE" and not is_there(request.path):
            return False  # that it is not there is said first
        tried = "dryRun" in request.query or "reviews" in request.path
        return request.method != "GET" and "/leases" not in request.path and not tried

    double.trouble.add("error", match=is_change, times=1_000_000, status=403)
