"""The python provider: a function of any importable module, in a thread that can be stopped.

As in the Chaos Toolkit: ``arguments`` by name; ``configuration`` where the function asks for it by that
name; ``secrets`` where it asks and the provider lists which (their entries, merged). Beyond it:
``timeout``. The function does not run in the main thread, so it cannot install signal handlers. Threads and
processes that it has started itself are its own business when it is stopped.
"""

from __future__ import annotations

import copy
import difflib
import importlib
import inspect
import os
import pkgutil
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from sloguard.core.model import Json
from sloguard.providers.outage import is_unreachable
from sloguard.providers.plain import plain
from sloguard.providers.result import (
    Refused,
    Result,
    aborted,
    interrupts,
    one_line,
    seconds,
    timed_out,
)
from sloguard.providers.stoppable import ActivityStopped, Ended, run_stoppable


def call_python(
    provider: Mapping[str, Any],
    *,
    configuration: Mapping[str, Json],
    secrets: Mapping[str, Json],
    stop: threading.Event,
) -> Result:
    """Import, call, and make JSON of what is returned."""
    limit = seconds(provider)

    def work() -> Json:
        function = load_function(provider)
        arguments = arguments_for(function, provider, configuration, secrets)
        return plain(_refuse_unfinished(function(**arguments)))

    name = f"{provider.get('module')}.{provider.get('func')}"
    return _result(run_stoppable(work, stop=stop, timeout=limit, name=name), limit)


def check_python(provider: Mapping[str, Any]) -> None:
    """Import and compare the arguments with the signature, call nothing. Raises Refused."""
    seconds(provider)
    function = load_function(provider)
    arguments_for(function, provider, {}, {})


def load_function(provider: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of a provider. Raises Refused, with the nearest name where there is one."""
    module = import_module(provider.get("module"))
    name = provider.get("func")
    if not isinstance(name, str) or not name:
        raise Refused("func: expected the name of a function")
    function = getattr(module, name, None)
    if function is None:
        callables = [
            n for n in dir(module) if not n.startswith("_") and callable(vars(module).get(n))
        ]
        raise Refused(
            f"module '{module.__name__}' has no function '{name}'{_near(name, callables)}"
        )
    if not callable(function):
        raise Refused(f"'{name}' of module '{module.__name__}' is not a function")
    return function  # type: ignore[no-any-return]  # callable() does not narrow Any


def import_module(name: Any) -> ModuleType:
    """Import a module, also from the working directory. Raises Refused."""
    if not isinstance(name, str) or not name or name.startswith("."):
        raise Refused("module: expected the dotted name of a Python module")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ActivityStopped:
        raise
    except ModuleNotFoundError as error:
        raise Refused(_not_found(name, error)) from error
    except BaseException as error:  # a module's own code may do anything, SystemExit included
        raise Refused(f"module '{name}' cannot be imported: {_said(error)}") from error


def _not_found(name: str, error: ModuleNotFoundError) -> str:
    missing = error.name or ""
    if missing and missing != name and not name.startswith(f"{missing}."):
        return f"module '{name}' needs '{missing}', which is not installed"
    parent, _, last = (missing or name).rpartition(".")
    siblings = _modules_in(parent)
    # Among all that is installed something is always a little alike.
    cutoff = 0.6 if parent else 0.85
    hint = _near(last, siblings, f"{parent}." if parent else "", cutoff)
    hint = hint or "; is it installed here, or in the working directory?"
    return f"no module named '{missing or name}'{hint}"


def _modules_in(parent: str) -> list[str]:
    if not parent:
        return [found.name for found in pkgutil.iter_modules()]
    path = getattr(sys.modules.get(parent), "__path__", None)
    return [found.name for found in pkgutil.iter_modules(path)] if path else []


def _near(name: str, known: Iterable[str], prefix: str = "", cutoff: float = 0.6) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean '{prefix}{near[0]}'?" if near else ""


def arguments_for(
    function: Callable[..., Any],
    provider: Mapping[str, Any],
    configuration: Mapping[str, Json],
    secrets: Mapping[str, Json],
) -> dict[str, Any]:
    """The arguments of a call, copied so that no function can change the experiment. Raises Refused."""
    given = provider.get("arguments")
    if given is not None and not isinstance(given, Mapping):
        raise Refused("arguments: expected a mapping of names to values")
    arguments: dict[str, Any] = copy.deepcopy(dict(given or {}))
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return arguments  # some built-in functions have none
    if "secrets" in provider and "secrets" in signature.parameters:
        arguments["secrets"] = _secrets_of(provider["secrets"], secrets)
    if "configuration" in signature.parameters:
        arguments["configuration"] = copy.deepcopy(dict(configuration))
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise Refused(_misfit(provider, signature, arguments, error)) from None
    return arguments


def _misfit(
    provider: Mapping[str, Any],
    signature: inspect.Signature,
    arguments: Mapping[str, Any],
    error: TypeError,
) -> str:
    known = [n for n in signature.parameters if n not in ("configuration", "secrets")]
    unknown = [n for n in arguments if n not in signature.parameters]
    hint = _near(unknown[0], known) if unknown else ""
    takes = ", ".join(known) or "no arguments"
    return f"{provider.get('func')}: {error}{hint} (it takes: {takes})"


def _secrets_of(names: Any, secrets: Mapping[str, Json]) -> dict[str, Any]:
    """The entries of the listed groups, merged; nothing of a group that is not listed."""
    listed = [names] if isinstance(names, str) else list(names or [])
    merged: dict[str, Any] = {}
    for name in listed:
        group = secrets.get(name, {})
        merged.update(copy.deepcopy(dict(group)) if isinstance(group, Mapping) else {name: group})
    return merged


def _refuse_unfinished(value: Any) -> Any:
    """Something that has not run yet is not a result."""
    if inspect.iscoroutine(value):
        value.close()
        kind = "a coroutine: call it through a function with asyncio.run"
    elif inspect.isgenerator(value):
        value.close()
        kind = "a generator, and none of its code has run: return a list"
    elif inspect.isasyncgen(value) or inspect.isawaitable(value):
        kind = "an asynchronous object: call it through a function with asyncio.run"
    else:
        return value
    raise Refused(f"the function returned {kind}")


def _result(ended: Ended, limit: float | None) -> Result:
    if ended.why == "stop":
        return aborted(_stopped(ended))
    if ended.why == "timeout":
        return timed_out(limit or 0.0)
    if ended.raised is None:
        return Result(ended.value)
    error = ended.raised
    if isinstance(error, Refused):
        return Result(error=one_line(error))
    return Result(
        error=one_line(_said(error)),
        unreachable=is_unreachable(error),
        trace="".join(traceback.format_exception(error)),
        interrupts=interrupts(error),
        leaves=isinstance(error, SystemExit),
    )


def _stopped(ended: Ended) -> str:
    if ended.left_behind:
        return (
            "stopped inside a call that cannot be interrupted; it goes no further when that returns"
        )
    return "stopped before it was done"


def _said(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
