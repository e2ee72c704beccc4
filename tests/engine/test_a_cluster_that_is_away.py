"""An API server that is away for a minute while a run is undone: the undo waits for it, and is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.core.events import FaultChanged, Note
from sloguard.core.model import Activity, Outcome
from sloguard.engine.run import run
from sloguard.ports.resources import DEPLOYMENTS, NODES
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.clusters import Ground, essence
from tests.support.engine_world import World, ended, experiment, slo

MINUTE = 60.0
#: When the method ends and everything is undone, seconds after the start.
UNDO = 20.0


@pytest.fixture
def ground(tmp_path: Path):
    with KubernetesDouble() as double:
        config = double.kubeconfig(tmp_path / "kubeconfig")
        # The retries within one call are real time; those of the undo are not.
        settings = KubernetesSettings(kubeconfig=config, timeout=0.2)
        yield Ground(KubernetesCluster(settings), double)


def fault(family: str, func: str, **arguments) -> Activity:
    provider = {
        "type": "python",
        "module": f"sloguard.faults.{family}",
        "func": func,
        "arguments": arguments,
    }
    return Activity("method[0]", "action", func, provider, declared={"provider": provider})


def outage(ground: Ground, world: World, how: str) -> list[float]:
    """From the undo on, for a minute. Gives the times at which somebody asked in vain."""
    double = ground.double
    asked: list[float] = []

    def leave() -> None:
        if how == "away":
            double.trouble.away.set()
        else:
            double.trouble.add("error", status=503, times=10_000, match=noted)

    def noted(_request) -> bool:
        asked.append(world.clock.monotonic())
        return True

    def come_back() -> None:
        double.trouble.away.clear()
        double.trouble.rules.clear()

    world.clock.at(UNDO - 1, leave)
    world.clock.at(UNDO - 1 + MINUTE, come_back)
    return asked


@pytest.mark.parametrize(
    ("what", "how"), [("abort", "away"), ("scale", "503"), ("cordon", "away"), ("apply", "503")]
)
def test_the_undo_waits_for_a_server_that_is_away_for_a_minute(ground, what, how):
    namespace, node = ground.namespace(), ground.node()
    ground.virtual_service(namespace)
    ground.deployment(namespace, replicas=2)
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "made"},
        "data": {"a": "b"},
    }
    activity = {
        "abort": fault("istio", "add_abort_fault", virtual_service_name="checkout", ns=namespace),
        "scale": fault("deployments", "scale_deployment", name="checkout", ns=namespace),
        "cordon": fault("nodes", "cordon_node", name=node),
        "apply": fault("kubernetes", "apply", manifest=manifest, ns=namespace),
    }[what]

    def seen():
        found = [
            ground.cluster.get(ground.virtual_services(), "checkout", namespace),
            ground.cluster.get(DEPLOYMENTS, "checkout", namespace),
            ground.cluster.get(NODES, node),
        ]
        return [essence(obj) for obj in found], len(ground.double.state.all("ConfigMap", namespace))

    before = seen()
    world = World()
    asked = outage(ground, world, how)
    ports = world.ports(clusters=lambda _context: ground.cluster)
    events = list(
        run(
            experiment(method=(activity,), slos=(slo(during="< 60%"),)),
            ports,
            world.options(),
            world.control,
        )
    )
    (told,) = [e.fault for e in events if isinstance(e, FaultChanged)][-1:]
    assert told.status == "undone", told
    assert seen() == before
    # It took as long as the server was away, and was tried all the time.
    assert told.undone_at - told.injected_at > MINUTE
    tries = [e for e in events if isinstance(e, Note) and "undoing" in e.message]
    assert len(tries) > 3
    assert how == "away" or len(set(asked)) > 3
    assert ended(events).outcome is not Outcome.NOT_RESTORED
