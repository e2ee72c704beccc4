"""How Alertmanager is reached, for alerts that no Prometheus tells of and for silences."""

# ruff: noqa: RUF009 - setting makes a dataclasses.field, which is what may stand there

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sloguard.settings.fields import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerSettings:
    """Alertmanager, which is asked for alerts and makes silences."""

    url: tuple[str, ...] = setting(
        (),
        "Base address, with the path prefix if there is one; of a cluster all of them, with commas between. "
        "Without it alerts are those that Prometheus records and that webhooks bring.",
        "list",
        secret=True,
    )
    username: str = setting("", "User of basic authentication.")
    password: str = setting("", "Password of basic authentication.", secret=True)
    password_file: Path | None = setting(None, "File that holds the password.", "path")
    token: str = setting("", "Bearer token.", secret=True)
    token_file: Path | None = setting(
        None, "File that holds the bearer token; read again for every request.", "path"
    )
    headers: Mapping[str, str] = setting(
        {}, "Extra headers of every request, such as X-Scope-OrgID.", "mapping", secret=True
    )
    ca_file: Path | None = setting(None, "PEM bundle to trust in place of the usual ones.", "path")
    cert_file: Path | None = setting(None, "Client certificate (PEM).", "path")
    key_file: Path | None = setting(None, "Key of the client certificate (PEM).", "path")
    verify: bool = setting(True, "Whether the server's certificate is checked.", "flag")
    deadline: float = setting(
        10.0, "Longest time of one request with all its retries.", "duration", above=0
    )
    connect_timeout: float = setting(
        3.0, "Longest time until a connection stands.", "duration", above=0
    )
    retries: int = setting(
        2, "How often a failed connection, 429, 502, 503 or 504 is tried again.", "whole", least=0
    )
