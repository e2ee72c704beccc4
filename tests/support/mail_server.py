"""A real SMTP server (aiosmtpd) on a free loopback port."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.support.servers import free_port


@dataclass
class Post:
    """What the server does and what it got. ``answers``: to DATA, one a mail; then 250. ``refuses``:
    recipients; ``password``: of the user ``chaos``, where it asks for a login."""

    answers: list[str] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    password: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    protected: list[bool] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        found = message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        self.recipients.append(list(envelope.rcpt_tos))
        self.protected.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 taken"

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        good = isinstance(data, LoginPassword) and data.password.decode() == self.password
        return AuthResult(success=good and data.login == b"chaos", handled=good)


@contextlib.contextmanager
def mail_server(
    post: Post | None = None,
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Post]:
    """``starttls``: it offers it, and takes nothing before; ``tls``: it speaks nothing else."""
    post = post or Post()
    more: dict[str, Any] = {}
    if post.password:
        more = {"authenticator": post.authenticate, "auth_required": True}
        more["auth_require_tls"] = tls is None and starttls is not None
    if starttls is not None:
        more |= {"tls_context": starttls, "require_starttls": True}
    with warnings.catch_warnings():
        # It warns of logins without TLS, which is what some tests are about.
        warnings.simplefilter("ignore")
        made = Controller(post, hostname="127.0.0.1", port=free_port(), ssl_context=tls, **more)
        made.start()
    try:
        server = made.server
        assert server is not None
        post.port = server.sockets[0].getsockname()[1]
        yield post
    finally:
        made.stop()
