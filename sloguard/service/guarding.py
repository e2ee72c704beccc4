"""Providers as a service calls them: what is not allowed is refused once more, right before the call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sloguard.core.model import Activity
from sloguard.engine.aliases import resolved
from sloguard.engine.drivers import Drivers
from sloguard.engine.ports_bundle import Ports
from sloguard.providers.calls import call, check
from sloguard.providers.result import Refused, Result, UrlPolicy
from sloguard.service.permissions import NotAllowed, check_call
from sloguard.spec import substitute


def guarded(ports: Ports, allowed: frozenset[str], allow_url: UrlPolicy) -> Ports:
    """The same ports, for an experiment whose directory allows this much."""
    return replace(
        ports,
        call=_Call(allowed, allow_url),
        check=lambda provider: _refusal(provider, allowed) or check(provider),
        allow_url=allow_url,
    )


def guarded_probe(allowed: frozenset[str], allow_url: UrlPolicy) -> Callable[..., Any]:
    """What carries out the probes of a configuration, as ``spec.load`` takes it."""
    carry_out = _Call(allowed, allow_url)

    def run_probe(
        activity: Activity, configuration: Mapping[str, Any], secrets: Mapping[str, Any]
    ) -> Any:
        provider = substitute(activity.provider, configuration, secrets)
        try:
            provider = resolved(provider, secrets, Drivers())
        except Refused as error:
            raise ValueError(str(error)) from None
        result = carry_out(
            provider,
            configuration=configuration,
            secrets=secrets,
            stop=threading.Event(),
            environment={},
        )
        if result.error:
            raise ValueError(result.error)
        return result.output

    return run_probe


class _Call:
    """engine.ports_bundle.Call."""

    def __init__(self, allowed: frozenset[str], allow_url: UrlPolicy) -> None:
        self._allowed, self._allow_url = allowed, allow_url

    def __call__(
        self,
        provider: Mapping[str, Any],
        *,
        configuration: Mapping[str, Any],
        secrets: Mapping[str, Any],
        stop: threading.Event,
        environment: Mapping[str, str],
    ) -> Result:
        reason = _refusal(provider, self._allowed)
        if reason is not None:
            return Result(error=reason)
        return call(
            provider,
            configuration=configuration,
            secrets=secrets,
            stop=stop,
            environment=environment,
            allow_url=self._allow_url,
        )


def _refusal(provider: Mapping[str, Any], allowed: frozenset[str]) -> str | None:
    try:
        check_call(provider, allowed)
    except NotAllowed as error:
        return str(error)
    return None
