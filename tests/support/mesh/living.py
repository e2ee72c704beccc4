"""A world in a process of its own, so that none is late because of another."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.support.mesh.shop import Shop

#: How long a world may take for what it is asked, seconds.
_PATIENCE = 120.0
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.mesh.inside"])


@dataclass(frozen=True)
class Case:
    """An experiment in a world. ``variables``: beside the times and names. ``chaos_mesh``: it is installed.
    ``refusing``: the cluster refuses every change, as an admission webhook does that nobody thought of.
    """

    file: str
    shop: Shop
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    chaos_mesh: bool = False
    refusing: bool = False

    @property
    def name(self) -> str:
        """Its own, and of its shop's namespace."""
        return self.shop.namespace


@dataclass(frozen=True)
class Address:
    """Where a world is: its cluster's kubeconfig for a service account, and that account."""

    kubeconfig: Path
    namespace: str
    account: str


class Life:
    """A world's process. ``with`` ends it; ``port`` is where it listens, ``begin`` waits until it lives."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self._pipe, inner = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_live, args=(case, folder, inner), daemon=True)
        self._process.start()
        inner.close()
        self.port: int = self._answer()

    def __enter__(self) -> Life:
        return self

    def leave(self) -> None:
        """Let it end."""
        # It may have ended already.
        with contextlib.suppress(OSError):
            self._pipe.send(("leave", None))

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(5)
        self._process.close()
        self._pipe.close()

    def begin(self) -> Address:
        """Where it is, once it lives."""
        found: Address = self._answer()
        return found

    def give(self, manifests: Sequence[Mapping[str, Any]]) -> None:
        """Let the account have these roles; from then on a cluster that refuses does."""
        self._pipe.send(("give", list(manifests)))
        self._answer()

    def lag(self) -> float:
        """The longest time, since this was last asked, in which the world did not look."""
        self._pipe.send(("lag", None))
        found: float = self._answer()
        return found

    def everything(self) -> dict[str, Any]:
        """What a fault could have left changed."""
        self._pipe.send(("look", None))
        found: dict[str, Any] = self._answer()
        return found

    def reset(self) -> None:
        """Let the cluster be as it was when the account got its rights."""
        self._pipe.send(("reset", None))
        self._answer()

    def complete_again(self) -> None:
        """Wait for pods that start late: they are no difference."""
        self._pipe.send(("complete", None))
        self._answer()

    def _answer(self) -> Any:
        assert self._pipe.poll(_PATIENCE), f"the world of {self.case.name} does not answer"
        return self._pipe.recv()


def _live(case: Case, folder: Path, pipe: Connection) -> None:
    from tests.support.mesh.inside import Inside

    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        pipe.send(listening.getsockname()[1])
        inside = Inside(case, folder, listening, stack)
        pipe.send(inside.address)
        while True:
            what, argument = pipe.recv()
            if what == "leave":
                # All that it has is in memory: nothing is left to be tidied up.
                os._exit(0)
            pipe.send(inside.do(what, argument))
