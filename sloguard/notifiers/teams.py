"""Microsoft Teams: an Adaptive Card to a webhook of Workflows (Power Automate).

Source: Microsoft's pages on incoming webhooks with Workflows and on Adaptive Cards 1.5. Other people's
texts stand in text runs, which know no markup. A message may have 28 KB: a chart that is larger stays out.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sloguard.notifiers.base import Illustrate, Notice, Notifier, Picture, cut, no_picture, whole
from sloguard.notifiers.calling import Access, call
from sloguard.notifiers.secrets import Secret
from sloguard.ports.outbox import Delivery, Message

_MOST_BYTES = 27_000
_SIZE = (640, 400)
_COLOURS = {"good": "good", "bad": "attention", "warning": "warning", "info": "accent"}
Element = dict[str, Any]


def message_of(notice: Notice, picture: Picture | None = None) -> dict[str, Any]:
    """The whole body, with the chart if there is room."""
    made = _message(notice, picture, picture is not None)
    if picture is not None and len(json.dumps(made)) > _MOST_BYTES:
        made = _message(notice, picture, with_chart=False)
    if len(json.dumps(made)) > _MOST_BYTES:
        made = _message(notice, None, with_chart=False, most=300)
    return made


def _message(
    notice: Notice, picture: Picture | None, with_chart: bool, most: int = 2000
) -> dict[str, Any]:
    card: Element = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": cut(notice.headline, 300),
        "msteams": {"width": "Full"},
        "body": list(_body(notice, picture, with_chart, most)),
    }
    if notice.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": notice.link}]
    kind = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": kind, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _body(notice: Notice, picture: Picture | None, with_chart: bool, most: int) -> Any:
    colour = _COLOURS.get(notice.tone, "default")
    yield _text(cut(notice.headline, 300), size="large", weight="bolder", color=colour)
    for line in notice.because.splitlines():
        yield _text(cut(line, most))
    for left in notice.left[:5]:
        yield _text(cut(f"still there: {left.fault} on {left.target}", most), weight="bolder")
        if left.detail:
            yield _text(cut(left.detail, most))
        if left.by_hand:
            yield _text(whole(left.by_hand, most, notice.run), fontType="monospace")
    if notice.action:
        yield _text(f"To do: {notice.action}")
    for name, value in notice.facts[:10]:
        yield _fact(name, cut(value, most))
    if picture is not None and with_chart:
        data = base64.b64encode(picture.png).decode()
        yield {
            "type": "Image",
            "url": f"data:image/png;base64,{data}",
            "altText": cut(picture.alt, 300),
            "size": "stretch",
        }
    elif picture is not None and picture.spark:
        yield _text(f"{notice.chart[:60]}  {picture.spark}", fontType="monospace")
    about = " · ".join(filter(None, (notice.experiment, notice.run and f"run {notice.run}")))
    if about:
        yield _text(about, isSubtle=True, size="small")


def _text(text: str, **look: Any) -> Element:
    """A RichTextBlock: a TextBlock would read Markdown in it."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text or " ", **look}]}


def _fact(name: str, value: str) -> Element:
    columns = (("110px", _text(name, isSubtle=True)), ("stretch", _text(value)))
    return {
        "type": "ColumnSet",
        "spacing": "small",
        "columns": [{"type": "Column", "width": width, "items": [item]} for width, item in columns],
    }


def smaller(png: bytes) -> bytes:
    """The same picture in few colours, which a chart does not miss; as it was where that fails."""
    # It comes with matplotlib, which has drawn it.
    from PIL import Image

    made = io.BytesIO()
    try:
        Image.open(io.BytesIO(png)).convert("RGB").quantize(16).save(made, "PNG", optimize=True)
    except (OSError, ValueError):
        return png
    return min(made.getvalue(), png, key=len)


class Teams(Notifier):
    """A webhook of Workflows; its address is the secret."""

    def __init__(
        self, name: str, url: Secret, access: Access, *, illustrate: Illustrate = no_picture
    ) -> None:
        super().__init__(name, illustrate=illustrate)
        self._url, self._access = url, access

    def send(self, notice: Notice, message: Message, delivery: Delivery) -> Mapping[str, Any]:  # noqa: ARG002 - one signature for all
        """Post it."""
        picture = self.illustrate(notice, _SIZE)
        if picture is not None:
            picture = replace(picture, png=smaller(picture.png))
        body = json.dumps(message_of(notice, picture)).encode()
        call(self._url.read(), body, self._access, headers={"Content-Type": "application/json"})
        return {}
