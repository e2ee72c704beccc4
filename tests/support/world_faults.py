"""Faults of the small world of ``tests.support.engine_world``."""

from __future__ import annotations

from typing import Any

from sloguard.faults.base import Context, FaultError, Injection, Plan, Record, fault
from tests.support import engine_world


def _inject(record: Record, context: Context) -> Any:
    world = engine_world.world()
    target = record["target"]
    if record["fails"] == target:
        raise FaultError(f"{target} cannot be broken")
    world.break_it(target, record["value"])
    if record["saves"]:
        context.save({**record, "saved": True})
    if record["takes"] and world.clock.wait(context.stop, record["takes"]) and record["stubborn"]:
        # Ignores the stop for a while, and breaks its target once more at the end.
        world.clock.wait(engine_world.threading.Event(), record["stubborn"])
        world.break_it(target, record["value"])
    context.note(f"{target} is broken")
    return {"broken": target}


def _undo(record: Record, context: Context) -> str:
    world = engine_world.world()
    target = record["target"]
    if world.undo_fails.get(target, 0) > 0:
        world.undo_fails[target] -= 1
        raise FaultError(f"{target} cannot be reached")
    return f"{target} mended" if world.mend(target) else ""


@fault("world.break_things", inject=_inject, undo=_undo)
def break_things(
    targets: list[str],
    fails: str = "",
    takes: float = 0.0,
    stubborn: float = 0.0,
    value: float = 0.5,
    saves: bool = False,
    lock: str = "",
    *,
    context: Context,
) -> Plan:
    """Break things."""
    if "nowhere" in targets:
        raise FaultError("there is no 'nowhere'")
    return Plan(
        tuple(
            Injection(
                target,
                {
                    "target": target,
                    "fails": fails,
                    "takes": takes,
                    "stubborn": stubborn,
                    "value": value,
                    "saves": saves,
                },
                lock=lock or f"thing:{target}",
                by_hand=f"mend {target}",
            )
            for target in targets
        ),
        summary=f"breaks {len(targets)}",
    )
