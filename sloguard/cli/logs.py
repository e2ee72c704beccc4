"""The logs of the service's processes, as the settings have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from sloguard.settings import Settings
    from sloguard.telemetry.logs import Facts


def start_logs(
    settings: Settings,
    process: str,
    *,
    facts: Sequence[Facts] = (),
    always: Mapping[str, object] | None = None,
) -> None:
    """From now on; see ``telemetry.logs.set_up``. No secret of the settings gets into them."""
    from sloguard.telemetry.logs import set_up

    style = settings.serve.log_format
    set_up(style, process, secrets=list(secrets_of(settings)), facts=facts, always=always)


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret text of the settings; of a URL its password, for the rest of it is worth reading."""
    from sloguard.settings import describe

    for setting in describe():
        if not setting.secret:
            continue
        value = getattr(getattr(settings, setting.group), setting.key)
        for text in value.values() if isinstance(value, Mapping) else [value]:
            if setting.key != "url":
                yield str(text or "")
                continue
            password = _password(str(text or ""))
            yield from (password, unquote(password))


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
