"""Who is told what, and how they are reached."""

# ruff: noqa: RUF009 - setting makes a dataclasses.field, which is what may stand there

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sloguard.settings.fields import setting

#: What can be told, each in a few words. The events of an ended run exclude each other.
EVENTS: Mapping[str, str] = {
    "run-started": "a run begins; nothing was touched yet",
    "run-completed": "a run ended, and the steady state held (met)",
    "run-deviated": "a run ended, and the steady state did not hold",
    "run-inconclusive": "a run ended without evidence either way",
    "run-not-started": "a check or the gate said no; nothing was injected",
    "run-aborted": "a run was stopped by a guard rail, a signal or a person, and undone",
    "run-failed": "a run's process died, and another one has finished and undone it",
    "fault-left": "a run ended, and something it injected could not be undone (not-restored)",
    "approval-asked": "a run waits for an approval: its link approves or refuses, once",
    "report-ready": "a report was made",
    "validate-failed": "'sloguard validate' found an experiment wrong",
}
#: The end of a run, whatever it is.
ENDS = (
    "run-completed",
    "run-deviated",
    "run-inconclusive",
    "run-not-started",
    "run-aborted",
    "run-failed",
    "fault-left",
)
WHEN: Mapping[str, str] = {
    "ended": "every end of a run, reports, and approval-asked",
    "action-needed": "run-deviated, run-failed, fault-left, approval-asked, and run-aborted where a guard rail "
    "did it",
    "always": "everything but validate-failed, which has to be named in 'events'",
}
TYPES = ("slack", "teams", "http", "email")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Notifications. The channels themselves stand under notify.channels, in the settings file only."""

    chaostoolkit: bool = setting(
        True, "Whether the notifications of the Chaos Toolkit's settings are sent.", "flag"
    )
    chaostoolkit_settings: Path | None = setting(
        None,
        "The Chaos Toolkit's settings.",
        "path",
        shown="~/.chaostoolkit/settings.yaml",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """One channel under notify.channels. A secret is given itself, by a file, or by the name of an
    environment variable; the latter two are read again for every message."""

    name: str
    type: str = setting("", "What it is.", "choice", choices=TYPES)
    when: str = setting(
        "ended",
        "Which events it gets, in a word; 'events' names them one by one.",
        "choice",
        choices=tuple(WHEN),
    )
    events: tuple[str, ...] = setting((), "Events that it gets, in place of 'when'.", "list")
    outcomes: tuple[str, ...] = setting(
        (), "Of ended runs, only those with one of these outcomes.", "list", shown="all"
    )
    tags: tuple[str, ...] = setting(
        (), "Only experiments with one of these tags.", "list", shown="all"
    )
    experiments: tuple[str, ...] = setting(
        (), "Only experiments whose name or title is one of these; * is any text.", "list",
        shown="all",
    )  # fmt: skip
    quiet: float = setting(
        0.0,
        "After a message of an event no other of the same event and experiment for so long; fault-left "
        "and approval-asked are always sent.",
        "duration",
        least=0,
    )
    chart: bool = setting(True, "Whether a chart of the worst SLO is sent along.", "flag")
    url: str = setting("", "Address that is called.", secret=True)
    url_file: Path | None = setting(None, "File that holds the address.", "path")
    url_env: str = setting("", "Environment variable that holds it.")
    token: str = setting("", "Token of a Slack bot, in place of a webhook's address.", secret=True)
    token_file: Path | None = setting(None, "File that holds the token.", "path")
    token_env: str = setting("", "Environment variable that holds it.")
    channel: str = setting("", "Slack channel that a bot writes to: its name or ID.")
    method: str = setting(
        "POST", "Method of the request.", "choice", choices=("post", "put", "patch")
    )
    headers: Mapping[str, str] = setting({}, "Headers of the request.", "mapping", secret=True)
    template: str = setting("", "Jinja2 template of the body; without it the body is JSON.")
    template_file: Path | None = setting(None, "File that holds the template.", "path")
    content_type: str = setting("application/json", "Type of the body.")
    secret: str = setting("", "Key by which the body is signed (HMAC-SHA256).", secret=True)
    secret_file: Path | None = setting(None, "File that holds the key.", "path")
    secret_env: str = setting("", "Environment variable that holds it.")
    host: str = setting("", "Mail server.")
    port: int = setting(
        0, "Its port.", "whole", least=0, most=65535, shown="587; 465 with tls; 25 with none"
    )
    security: str = setting(
        "starttls",
        "How the connection is protected.",
        "choice",
        choices=("starttls", "tls", "none"),
    )
    username: str = setting("", "User of the mail server.")
    password: str = setting("", "Password of that user.", secret=True)
    password_file: Path | None = setting(None, "File that holds the password.", "path")
    password_env: str = setting("", "Environment variable that holds it.")
    sender: str = setting(
        "", "Address that mail comes from, such as 'sloguard <chaos@example.com>'."
    )
    to: tuple[str, ...] = setting((), "Addresses that mail goes to.", "list")
    verify: bool = setting(True, "Whether the server's certificate is checked.", "flag")
    ca_file: Path | None = setting(None, "PEM bundle to trust in place of the usual ones.", "path")
    cert_file: Path | None = setting(None, "Client certificate (PEM).", "path")
    key_file: Path | None = setting(None, "Key of the client certificate (PEM).", "path")
    deadline: float = setting(15.0, "Longest time of one call.", "duration", above=0, most=60)


_OF_ALL = ("type", "when", "events", "outcomes", "tags", "experiments", "quiet", "verify",
           "ca_file", "cert_file", "key_file", "deadline")  # fmt: skip
_URL = ("url", "url_file", "url_env")
#: The keys that each type of channel takes.
KEYS: Mapping[str, tuple[str, ...]] = {
    "slack": (*_OF_ALL, "chart", *_URL, "token", "token_file", "token_env", "channel"),
    "teams": (*_OF_ALL, "chart", *_URL),
    "http": (
        *_OF_ALL, *_URL, "method", "headers", "template", "template_file", "content_type",
        "secret", "secret_file", "secret_env",
    ),
    "email": (
        *_OF_ALL, "chart", "host", "port", "security", "username", "password", "password_file",
        "password_env", "sender", "to",
    ),
}  # fmt: skip
#: Each of these may be given in one way only.
ONE_OF = (
    ("url", "url_file", "url_env"),
    ("token", "token_file", "token_env"),
    ("secret", "secret_file", "secret_env"),
    ("password", "password_file", "password_env"),
    ("template", "template_file"),
)
