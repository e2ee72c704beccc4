"""E-mail over SMTP, with TLS: text and HTML, and the chart inside.

A message keeps its Message-ID from attempt to attempt, and all of a run are one thread.
"""

from __future__ import annotations

import hashlib
import smtplib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any

from sloguard.core.masking import Masker
from sloguard.core.visible import visible
from sloguard.notifiers.base import Illustrate, Notice, Notifier, Picture, cut, no_picture
from sloguard.notifiers.calling import Access, bounded, excerpt, trouble
from sloguard.notifiers.mail_text import html_of, text_of
from sloguard.notifiers.reports import Attach, File, no_files
from sloguard.notifiers.secrets import Secret
from sloguard.ports.outbox import Delivery, DeliveryError, Message

_SIZE = (1000, 540)
PORTS = {"starttls": 587, "tls": 465, "none": 25}
_CHART = "chart@sloguard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A mail server. ``security``: ``starttls`` (which has to be there), ``tls`` or ``none``."""

    host: str
    port: int = 0
    security: str = "starttls"
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret("password"))
    access: Access = field(default_factory=Access)

    @property
    def where(self) -> str:
        """As it is named in errors."""
        return f"the mail server {self.host}:{self.port or PORTS[self.security]}"


def mail_of(
    notice: Notice,
    message: Message,
    sender: str,
    to: Sequence[str],
    picture: Picture | None,
    files: Sequence[File] = (),
) -> EmailMessage:
    """The whole mail. Raises DeliveryError for addresses that are none."""
    mail = EmailMessage(policy=SMTP)
    name, address = parseaddr(sender)
    if "@" not in address:
        raise DeliveryError(f"the sender '{visible(sender)}' is no address", permanent=True)
    domain = address.rpartition("@")[2]
    mail["From"] = formataddr((name, address))
    mail["To"] = ", ".join(to)
    mail["Subject"] = cut(visible(notice.headline), 150)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.created_at, UTC))
    mail["Message-ID"] = _id(f"{message.channel}\0{message.key}", domain)
    if notice.run:
        mail["References"] = mail["In-Reply-To"] = _id(f"{message.channel}\0{notice.run}", domain)
        mail["X-Sloguard-Run"] = cut(visible(notice.run), 100)
    mail["X-Sloguard-Event"] = visible(notice.event)
    # So that no holiday notice answers, and no list takes it for a person's.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text_of(notice))
    mail.add_alternative(
        html_of(notice, f"cid:{_CHART}" if picture else "", picture), subtype="html"
    )
    if picture is not None:
        html = mail.get_body(("html",))
        assert isinstance(html, EmailMessage)  # noqa: S101 - it was added above
        html.add_related(
            picture.png,
            "image",
            "png",
            cid=f"<{_CHART}>",
            filename=f"{_file_name(notice.run)}.png",
            disposition="inline",
        )
    for file in files:
        kind, _, sub = file.media.partition("/")
        mail.add_attachment(file.content, kind, sub, filename=file.name)
    return mail


def _id(about: str, domain: str) -> str:
    return f"<{hashlib.sha256(about.encode()).hexdigest()[:32]}@{domain}>"


def _file_name(run: str) -> str:
    return "".join(c for c in run if c.isascii() and (c.isalnum() or c in "-_."))[:60] or "chart"


class Mail(Notifier):
    """Mail to some people."""

    def __init__(
        self,
        name: str,
        server: Server,
        sender: str,
        to: Sequence[str],
        *,
        illustrate: Illustrate = no_picture,
        attach: Attach = no_files,
    ) -> None:
        super().__init__(name, illustrate=illustrate)
        self._attach = attach
        self._server, self._sender, self._to = server, sender, tuple(to)

    def send(self, notice: Notice, message: Message, delivery: Delivery) -> Mapping[str, Any]:  # noqa: ARG002 - one signature for all
        """Send it; ``refused`` in what is remembered: addresses that the server would not take."""
        picture = self.illustrate(notice, _SIZE)
        mail = mail_of(notice, message, self._sender, self._to, picture, self._attach(notice))
        password = self._server.password.read() if self._server.username else ""
        hidden = Masker([password])
        deadline = self._server.access.deadline
        refused = bounded(lambda: self._sent(mail, password, hidden), deadline, self._server.where)
        return {"refused": refused} if refused else {}

    def _sent(self, mail: EmailMessage, password: str, hidden: Masker) -> list[str]:
        server, where = self._server, self._server.where
        try:
            with _connected(server) as connection:
                if server.username:
                    try:
                        connection.login(server.username, password)
                    except smtplib.SMTPNotSupportedError:
                        told = f"{where} takes no login; leave username and password out"
                        raise DeliveryError(told, permanent=True) from None
                    except smtplib.SMTPAuthenticationError as error:
                        # Not the mail's fault: whoever sets it right wants the mail.
                        raise DeliveryError(
                            f"{where} refuses the login ({error.smtp_code})"
                        ) from None
                return sorted(connection.send_message(mail, to_addrs=list(self._to)))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            said = next((text for _, text in error.recipients.values()), b"")
            told = f"{where} takes no mail for {', '.join(error.recipients)}: {_said(said, hidden)}"
            raise DeliveryError(told, permanent=all(code >= 500 for code in codes)) from None
        except smtplib.SMTPResponseException as error:
            told = f"{where} answers {error.smtp_code}: {_said(error.smtp_error, hidden)}"
            raise DeliveryError(told, permanent=error.smtp_code >= 500) from None
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryError(f"{where}: {_said(str(error), hidden)}", permanent=True) from None
        except smtplib.SMTPServerDisconnected as error:
            slow = "timed out" in str(error)
            how = f"did not answer within {server.access.deadline:g}s" if slow else "hung up"
            raise DeliveryError(f"{where} {how}") from None
        except smtplib.SMTPException as error:
            raise DeliveryError(f"{where}: {_said(str(error), hidden)}") from None
        except (OSError, ValueError) as error:
            raise DeliveryError(f"{where} {trouble(error, server.access.deadline)}") from None


def _connected(server: Server) -> smtplib.SMTP:
    """A connection as safe as it is to be. Raises smtplib's errors and OSError."""
    port, deadline = server.port or PORTS[server.security], server.access.deadline
    # Left to itself smtplib asks the name service for a longer one, which may take its time.
    name = socket.gethostname() or "localhost"
    if server.security == "tls":
        context = server.access.context()
        return smtplib.SMTP_SSL(server.host, port, name, timeout=deadline, context=context)
    connection = smtplib.SMTP(server.host, port, name, timeout=deadline)
    if server.security == "starttls":
        try:
            connection.starttls(context=server.access.context())
        except smtplib.SMTPNotSupportedError:
            connection.close()
            told = f"{server.where} offers no STARTTLS; nothing is sent without (security: tls or none)"
            raise DeliveryError(told, permanent=True) from None
        except BaseException:
            connection.close()
            raise
    return connection


def _said(text: bytes | str, hidden: Masker) -> str:
    return excerpt(text.decode("utf-8", "replace") if isinstance(text, bytes) else text, hidden)
