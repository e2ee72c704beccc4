"""One door to all providers: ``call`` carries an activity out, ``check`` looks whether it could be."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sloguard.core.model import Json
from sloguard.providers import http, process, python
from sloguard.providers.result import Refused, Result, UrlPolicy, aborted, one_line

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def call(
    provider: Mapping[str, Any],
    *,
    configuration: Mapping[str, Json],
    secrets: Mapping[str, Json],
    stop: threading.Event,
    environment: Mapping[str, str] = NO_VARIABLES,
    allow_url: UrlPolicy | None = None,
) -> Result:
    """Carry out what a provider declares, after substitution.

    Never raises for what the activity does wrong: see Result. ``stop`` ends it within about a second (a
    process that ignores SIGTERM within two and a half). ``environment`` is added to a process's own, and
    carries the marks of ``sloguard.host.marks``. ``allow_url`` may forbid what http providers call.
    """
    if stop.is_set():
        return aborted("stopped before it began")
    try:
        match provider.get("type"):
            case "python":
                return python.call_python(
                    provider, configuration=configuration, secrets=secrets, stop=stop
                )
            case "process":
                return process.call_process(provider, stop=stop, environment=environment)
            case "http":
                return http.call_http(provider, stop=stop, allow=allow_url)
            case other:
                raise Refused(f"provider type '{other}': expected python, process or http")
    except Refused as error:
        return Result(error=one_line(error))


def check(provider: Mapping[str, Any]) -> str | None:
    """Why a provider could not be called, without calling it; None where nothing speaks against it.

    Modules are imported for it, as the Chaos Toolkit does.
    """
    try:
        match provider.get("type"):
            case "python":
                python.check_python(provider)
            case "process":
                process.check_process(provider)
            case "http":
                http.request_of(provider)
            case other:
                raise Refused(f"provider type '{other}': expected python, process or http")
    except Refused as error:
        return one_line(error)
    return None


def failed_action(provider: Mapping[str, Any], output: Json) -> str | None:
    """Why an action that gave this output has failed all the same; None where it has not.

    A process that exits with anything but 0, an HTTP answer of 400 or more. In a probe these are
    values, and the tolerance decides.
    """
    if not isinstance(output, Mapping):
        return None
    match provider.get("type"):
        case "process":
            return process.failure(output)
        case "http":
            return http.failure(output)
    return None
