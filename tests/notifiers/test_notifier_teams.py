"""Teams: a card within its limits, whose texts are texts."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sloguard.notifiers.base import Notice, Picture
from sloguard.notifiers.building import build
from sloguard.notifiers.teams import message_of
from sloguard.ports.outbox import DeliveryError
from sloguard.settings.notify import ChannelSettings
from tests.support.golden import same_as_golden
from tests.support.http_double import HttpDouble, reply
from tests.support.notices import HOSTILE, PICTURE, Delivery, left_behind, message, notice, payload

PATH = "/workflows/0123456789abcdef/triggers/manual/paths/invoke?sig=s1gnatur3s1gnatur3"


def elements(value: Any) -> list[dict[str, Any]]:
    """Every element of a card with a type."""
    if isinstance(value, dict):
        own = [value] if "type" in value else []
        return own + [e for v in value.values() for e in elements(v)]
    return [e for v in value for e in elements(v)] if isinstance(value, list) else []


def card(made: dict[str, Any]) -> dict[str, Any]:
    (attachment,) = made["attachments"]
    assert made["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    found: dict[str, Any] = attachment["content"]
    return found


def test_the_words():
    for name, told in (("deviated", notice()), ("fault-left", notice(*left_behind()))):
        made = message_of(told, PICTURE)
        same_as_golden(
            f"notify/teams-{name}.json", json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        )


def test_a_card_has_the_chart_and_a_button():
    found = card(message_of(notice(), PICTURE))
    (image,) = [e for e in elements(found["body"]) if e["type"] == "Image"]
    assert base64.b64decode(image["url"].removeprefix("data:image/png;base64,")) == PICTURE.png
    assert image["altText"] == PICTURE.alt
    assert found["actions"] == [{"type": "Action.OpenUrl", "title": "Open", "url": notice().link}]


def test_a_chart_that_is_too_large_is_a_line():
    large = Picture(b"x" * 30_000, PICTURE.spark, PICTURE.alt)
    made = message_of(notice(), large)
    assert len(json.dumps(made)) < 28_000
    kinds = {e["type"] for e in elements(made)}
    assert "Image" not in kinds
    assert PICTURE.spark in json.dumps(made, ensure_ascii=False)


def test_hostile_and_endless_texts_stay_texts():
    event, story = left_behind()
    told = {**payload(event, story), "headline": HOSTILE, "reason": "\n".join([HOSTILE * 50] * 30)}
    told["facts"] = [["n", "v" * 5000]] * 30
    made = message_of(Notice.of(told), PICTURE)
    assert len(json.dumps(made)) < 28_000
    # A TextBlock and a FactSet would read Markdown in them.
    assert not {"TextBlock", "FactSet"} & {e["type"] for e in elements(made)}


def test_a_webhook_gets_it():
    with HttpDouble(lambda _: reply("", status=202)) as double:
        settings = ChannelSettings(name="t", type="teams", url=double.url + PATH)
        build(settings, illustrate=lambda *_: PICTURE).deliver(message(), Delivery())
    assert double.requests[0].target == PATH
    made = json.loads(double.requests[0].body)
    assert card(made)["body"][0] == card(message_of(notice()))["body"][0]


@pytest.mark.parametrize(("status", "permanent"), [(401, True), (429, False), (502, False)])
def test_what_it_answers(status, permanent):
    with HttpDouble(lambda r: reply(r.target, status=status, kind="text/plain")) as double:
        settings = ChannelSettings(name="t", type="teams", url=double.url + PATH)
        with pytest.raises(DeliveryError) as caught:
            build(settings).deliver(message(), Delivery())
    assert caught.value.permanent is permanent
    assert "s1gnatur3" not in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)
