"""Slack: an incoming webhook, or a bot that also uploads the chart.

Source: Slack's reference of Block Kit, incoming webhooks, chat.postMessage and files.upload v2. Other
people's texts stand in plain_text and rich_text, where nothing is markup, no mention rings and no link opens.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sloguard.notifiers.base import Illustrate, Notice, Notifier, Picture, cut, no_picture, whole
from sloguard.notifiers.calling import (
    Access,
    Answer,
    bounded,
    call,
    excerpt,
    host_of,
    refused,
    trouble,
)
from sloguard.notifiers.secrets import Secret, masker
from sloguard.ports.outbox import Delivery, DeliveryError, Message

log = logging.getLogger(__name__)

API = "https://slack.com/api/"
_SIZE = (1000, 520)
_MARKS = {"good": "✅", "bad": "🔴", "warning": "🟠", "info": "🔵"}
#: Errors of the Web API that another attempt may get past.
_PASSING = frozenset({
    "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable",
    "request_timeout", "message_limit_exceeded", "team_added_to_org", "timeout",
})  # fmt: skip
Block = dict[str, Any]


def message_of(notice: Notice, picture: Picture | None = None) -> dict[str, Any]:
    """Blocks, and ``text`` for notifications on a phone."""
    blocks: list[Block] = [
        {"type": "header", "text": _plain(f"{_MARKS.get(notice.tone, '')} {notice.headline}", 150)}
    ]
    if notice.because:
        blocks.append({"type": "section", "text": _plain(notice.because, 2900)})
    for left in notice.left[:5]:
        told = f"still there: {left.fault} on {left.target}"
        blocks.append({"type": "section", "text": _plain(f"{told}\n{left.detail}".strip(), 2900)})
        if left.by_hand:
            blocks.append(_command(whole(left.by_hand, 2900, notice.run)))
    if notice.action:
        blocks.append({"type": "section", "text": _plain(f"To do: {notice.action}", 2900)})
    if notice.facts:
        fields = [_plain(f"{name}\n{value}", 1900) for name, value in notice.facts[:10]]
        blocks.append({"type": "section", "fields": fields})
    if picture is not None and picture.spark:
        blocks.append(_command(f"{notice.chart[:60]}  {picture.spark}"))
    if notice.link:
        button = {"type": "button", "text": _plain("Open", 20), "url": notice.link[:3000]}
        blocks.append({"type": "actions", "elements": [{**button, "action_id": "open"}]})
    about = " · ".join(filter(None, (notice.experiment, notice.run and f"run {notice.run}")))
    if about:
        blocks.append({"type": "context", "elements": [_plain(about, 1900)]})
    return {"text": escaped(cut(notice.headline, 300)), "blocks": blocks}


def escaped(text: str) -> str:
    """Text where Slack reads its markup: no mention, no link, no tag comes out of it."""
    for plain, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(plain, entity)
    return text


def _plain(text: str, most: int) -> Block:
    return {"type": "plain_text", "text": cut(text, most) or " ", "emoji": False}


def _command(text: str) -> Block:
    """To be copied as it stands."""
    element = {
        "type": "rich_text_preformatted",
        "elements": [{"type": "text", "text": text[:2900]}],
    }
    return {"type": "rich_text", "elements": [element]}


class SlackWebhook(Notifier):
    """An incoming webhook; its address is the secret. It takes no files: the chart comes as a line of text."""

    def __init__(
        self, name: str, url: Secret, access: Access, *, illustrate: Illustrate = no_picture
    ) -> None:
        super().__init__(name, illustrate=illustrate)
        self._url, self._access = url, access

    def send(self, notice: Notice, message: Message, delivery: Delivery) -> Mapping[str, Any]:  # noqa: ARG002 - one signature for all
        """Post it."""
        import json

        body = json.dumps(message_of(notice, self.illustrate(notice, _SIZE))).encode()
        call(self._url.read(), body, self._access, headers={"Content-Type": "application/json"})
        return {}


class SlackBot(Notifier):
    """A bot with the scopes chat:write and files:write: the message, and the chart in its thread."""

    def __init__(
        self,
        name: str,
        token: Secret,
        channel: str,
        access: Access,
        *,
        api: Secret | None = None,
        illustrate: Illustrate = no_picture,
    ) -> None:
        super().__init__(name, illustrate=illustrate)
        self._token, self._channel, self._access = token, channel, access
        self._api = api or Secret("address of Slack's API", API)

    def send(self, notice: Notice, message: Message, delivery: Delivery) -> Mapping[str, Any]:
        """Post it once, then upload the chart, of which a later attempt is enough."""
        picture = self.illustrate(notice, _SIZE)
        posted = dict(message.memory)
        if "ts" not in posted:
            made = message_of(notice, picture)
            answer = self._asked(
                lambda client: client.chat_postMessage(
                    channel=self._channel, unfurl_links=False, unfurl_media=False, **made
                )
            )
            posted = {"ts": str(answer["ts"]), "channel": str(answer["channel"])}
            delivery.remember(posted)
        if picture is not None:
            self._upload(notice, picture, posted)
        return posted

    def _upload(self, notice: Notice, picture: Picture, posted: Mapping[str, Any]) -> None:
        try:
            self._asked(
                lambda client: client.files_upload_v2(
                    channel=posted["channel"],
                    thread_ts=posted["ts"],
                    filename=f"{notice.run or 'chart'}.png",
                    title=cut(picture.alt, 200),
                    alt_txt=cut(picture.alt, 900),
                    content=picture.png,
                )
            )
        except DeliveryError as error:
            if not error.permanent:
                raise
            # People were told, which is what counts; a missing scope is no reason to say so again.
            log.warning("%s: the chart was not taken: %s", self.name, error)

    def _asked(self, ask: Any) -> Any:
        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError, SlackClientError

        token, api = self._token.read(), self._api.read()
        where, hidden = host_of(api), masker([token], [api])
        deadline = self._access.deadline
        client = WebClient(
            token=token,
            base_url=api if api.endswith("/") else f"{api}/",
            timeout=max(round(deadline), 1),
            ssl=self._access.context(),
            retry_handlers=[],
        )
        try:
            return bounded(lambda: ask(client), deadline * 3, where)
        except SlackApiError as error:
            raise _refused(where, error, hidden) from None
        except (SlackClientError, OSError, ValueError) as error:
            raise DeliveryError(f"{where} {trouble(error, deadline)}") from None


def _refused(where: str, error: Any, hidden: Any) -> DeliveryError:
    response = error.response
    status = int(getattr(response, "status_code", 0) or 0)
    headers = {str(k): str(v) for k, v in (getattr(response, "headers", None) or {}).items()}
    data = getattr(response, "data", None)
    code = str(data.get("error") or "") if isinstance(data, dict) else ""
    if status != 200 or not code:
        return refused(where, Answer(status or 500, excerpt(code, hidden), headers))
    told = f"{where} refused the message: {excerpt(code, hidden)}"
    return DeliveryError(told, permanent=code not in _PASSING)
