"""How Grafana is reached, and what is marked there."""

# ruff: noqa: RUF009 - setting makes a dataclasses.field, which is what may stand there

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sloguard.settings.fields import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class GrafanaSettings:
    """Grafana, on whose dashboards chaos windows are marked."""

    url: str = setting(
        "",
        "Base address, with the path prefix if there is one; nothing is marked without.",
        secret=True,
    )
    token: str = setting("", "Token of a service account.", secret=True)
    token_file: Path | None = setting(
        None, "File that holds the token; read again for every request.", "path"
    )
    username: str = setting("", "User of basic authentication.")
    password: str = setting("", "Password of basic authentication.", secret=True)
    password_file: Path | None = setting(None, "File that holds the password.", "path")
    org_id: int = setting(
        0, "Number of the organisation; 0: that of the token or user.", "whole", least=0
    )
    headers: Mapping[str, str] = setting(
        {}, "Extra headers of every request.", "mapping", secret=True
    )
    ca_file: Path | None = setting(None, "PEM bundle to trust in place of the usual ones.", "path")
    cert_file: Path | None = setting(None, "Client certificate (PEM).", "path")
    key_file: Path | None = setting(None, "Key of the client certificate (PEM).", "path")
    verify: bool = setting(True, "Whether the server's certificate is checked.", "flag")
    deadline: float = setting(10.0, "Longest time of one request.", "duration", above=0, most=20)
    dashboards: tuple[str, ...] = setting(
        (),
        "Dashboards that get the marks, each a UID, or UID/PANEL for one panel alone.",
        "list",
        shown="the whole organisation",
    )
    phases: tuple[str, ...] = setting(
        ("during",),
        "Phases that are marked, each by a region: before, during, after.",
        "list",
        shown="during",
    )
    tags: tuple[str, ...] = setting((), "Tags that every mark gets besides its own.", "list")
    tags_length: int = setting(
        500,
        "Longest list of tags that Grafana takes, as its own setting [annotations] tags_length says; "
        "the least important ones are left out.",
        "whole",
        least=150,
    )
