"""Settings of a channel -> the channel."""

from __future__ import annotations

from sloguard.notifiers.base import Illustrate, Links, Notifier, no_link, no_picture
from sloguard.notifiers.calling import Access
from sloguard.notifiers.http import Documents, HttpCall
from sloguard.notifiers.reports import Attach, no_files
from sloguard.notifiers.secrets import Secret
from sloguard.settings.notify import ChannelSettings


def build(
    channel: ChannelSettings,
    *,
    illustrate: Illustrate = no_picture,
    documents: Documents = lambda _run: None,
    attach: Attach = no_files,
    links: Links = no_link,
) -> Notifier:
    """The channel of these settings; nothing is sent yet. ``illustrate`` is left aside where it wants none."""
    made = _built(channel, illustrate, documents, attach)
    made.links = links
    return made


def _built(
    channel: ChannelSettings, illustrate: Illustrate, documents: Documents, attach: Attach
) -> Notifier:
    name = f"{channel.type}:{channel.name}"
    access = access_of(channel)
    pictures = illustrate if channel.chart else no_picture
    url = secret_of(channel, "url", "address")
    if channel.type == "slack":
        from sloguard.notifiers.slack import SlackBot, SlackWebhook

        token = secret_of(channel, "token", "token")
        if token:
            api = url or None
            return SlackBot(name, token, channel.channel, access, api=api, illustrate=pictures)
        return SlackWebhook(name, url, access, illustrate=pictures)
    if channel.type == "teams":
        from sloguard.notifiers.teams import Teams

        return Teams(name, url, access, illustrate=pictures)
    if channel.type == "email":
        from sloguard.notifiers.mail import Mail, Server

        server = Server(
            host=channel.host,
            port=channel.port,
            security=channel.security,
            username=channel.username,
            password=secret_of(channel, "password", "password"),
            access=access,
        )
        return Mail(name, server, channel.sender, channel.to, illustrate=pictures, attach=attach)
    return HttpCall(
        name,
        url,
        access,
        method=channel.method,
        headers=channel.headers,
        template=channel.template,
        template_file=channel.template_file,
        content_type=channel.content_type,
        key=secret_of(channel, "secret", "key"),
        documents=documents,
    )


def access_of(channel: ChannelSettings) -> Access:
    """How its server is reached."""
    return Access(
        verify=channel.verify,
        ca_file=channel.ca_file,
        cert_file=channel.cert_file,
        key_file=channel.key_file,
        deadline=channel.deadline,
    )


def secret_of(channel: ChannelSettings, key: str, what: str) -> Secret:
    """One of its secrets, however it is given."""
    return Secret(
        what,
        getattr(channel, key),
        getattr(channel, f"{key}_file"),
        getattr(channel, f"{key}_env"),
    )
