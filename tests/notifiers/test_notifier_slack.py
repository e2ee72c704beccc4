"""Slack: blocks that its own models take, a webhook, and a bot that posts once and uploads the chart."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from slack_sdk.models.blocks import Block

from sloguard.notifiers.base import Notice, Notifier
from sloguard.notifiers.building import build
from sloguard.notifiers.slack import escaped, message_of
from sloguard.ports.outbox import DeliveryError
from sloguard.settings.notify import ChannelSettings
from tests.support.golden import same_as_golden
from tests.support.http_double import HttpDouble, Request, reply, silence
from tests.support.notices import (
    HOSTILE,
    PICTURE,
    RUN,
    Delivery,
    left_behind,
    message,
    notice,
    payload,
)

TOKEN = "xoxb-1234-5678-abcdefgh"
PATH = "/services/T00000000/B00000000/XXXXsecretXXXX"


def valid(made: dict[str, Any]) -> None:
    """As Slack's own models see it, and within its limits."""
    assert len(made["blocks"]) <= 50
    for given in made["blocks"]:
        block = Block.parse(given)
        assert block is not None, given
        block.validate_json()
        for text in [given.get("text"), *given.get("fields", ())]:
            if text:
                most = 150 if given["type"] == "header" else 3000
                assert 1 <= len(text["text"]) <= most
                assert text["type"] == "plain_text"


def texts(value: Any) -> list[dict[str, Any]]:
    """Every text object in it."""
    if isinstance(value, dict):
        own = [value] if value.get("type") in ("plain_text", "mrkdwn") else []
        return own + [t for v in value.values() for t in texts(v)]
    return [t for v in value for t in texts(v)] if isinstance(value, list) else []


def test_the_words():
    for name, told in (("deviated", notice()), ("fault-left", notice(*left_behind()))):
        made = message_of(told, PICTURE)
        valid(made)
        same_as_golden(
            f"notify/slack-{name}.json", json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        )


def test_hostile_and_endless_texts_stay_texts():
    long = Notice.of(
        {
            **payload(*left_behind()),
            "headline": HOSTILE * 9,
            "reason": "r" * 9000,
            "action": "",
            "facts": [["n" * 50, HOSTILE * 100]] * 30,
        }
    )
    made = message_of(long, replace(PICTURE, spark="█" * 5000))
    valid(made)
    assert all(text["type"] == "plain_text" and not text["emoji"] for text in texts(made["blocks"]))
    # The one place with markup: no mention rings, no link opens.
    assert "<" not in made["text"]
    assert "&lt;!channel&gt;" in made["text"]
    assert escaped("<@U1> & <http://x|y>") == "&lt;@U1&gt; &amp; &lt;http://x|y&gt;"


def test_a_notice_with_nothing_in_it_is_a_message():
    valid(message_of(Notice(event="test", headline="")))


def test_the_command_by_hand_can_be_copied_as_it_stands():
    made = message_of(notice(*left_behind()))
    commands = [
        b["elements"][0]["elements"][0]["text"] for b in made["blocks"] if b["type"] == "rich_text"
    ]
    assert commands == ["tc qdisc del dev eth0 root && echo 'done <ok>'"]


def test_a_command_that_is_too_long_is_not_cut_in_two():
    event, story = left_behind()
    told = dict(payload(event, story))
    told["left"] = [{**told["left"][0], "by_hand": "rm -rf /tmp/" + "x" * 4000}]
    made = json.dumps(message_of(Notice.of(told)))
    assert "rm -rf" not in made
    assert f"sloguard runs show {RUN}" in made


# The webhook.


def webhook(url: str, **more: Any) -> Notifier:
    settings = ChannelSettings(name="ops", type="slack", url=url + PATH, **more)
    return build(settings, illustrate=lambda *_: PICTURE)


def test_a_webhook_gets_the_blocks_and_the_chart_as_a_line():
    with HttpDouble(lambda _: reply("ok", kind="text/html")) as double:
        webhook(double.url).deliver(message(), Delivery())
    assert double.requests[0].path == PATH
    made = json.loads(double.requests[0].body)
    assert made == message_of(notice(), PICTURE)
    assert PICTURE.spark in json.dumps(made, ensure_ascii=False)


def test_without_a_chart_where_none_is_wanted():
    with HttpDouble(lambda _: reply("ok")) as double:
        webhook(double.url, chart=False).deliver(message(), Delivery())
    assert "█" not in double.requests[0].body.decode("unicode_escape")


@pytest.mark.parametrize(
    ("status", "said", "permanent"),
    [
        (404, "no_service", True),
        (400, "invalid_blocks", True),
        (429, "", False),
        (500, "rollup_error", False),
    ],
)
def test_what_a_webhook_answers(status, said, permanent):
    answer = reply(said, status=status, kind="text/html")
    with HttpDouble(lambda _: answer) as double, pytest.raises(DeliveryError) as caught:
        webhook(double.url).deliver(message(), Delivery())
    assert caught.value.permanent is permanent
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


# The bot.


class Slack:
    """The four methods that a bot calls. ``answers``: what a method says in place of ok, once each."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[str] = []
        self.posted: list[dict[str, Any]] = []
        self.uploads: list[bytes] = []
        self.completed: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.url = ""

    def __call__(self, request: Request) -> Any:
        method = request.path.rpartition("/")[2]
        self.asked.append(method)
        if method != "put-it-here":
            self.tokens.add({k.lower(): v for k, v in request.headers.items()}["authorization"])
        if self.answers.get(method):
            return self.answers[method].pop(0)
        if method == "chat.postMessage":
            self.posted.append(json.loads(request.body))
            return reply({"ok": True, "channel": "C024BE91L", "ts": f"17.{len(self.posted)}"})
        if method == "files.getUploadURLExternal":
            return reply({"ok": True, "upload_url": f"{self.url}/put-it-here", "file_id": "F1"})
        if method == "put-it-here":
            self.uploads.append(request.body)
            return reply("OK", kind="text/plain")
        fields = (
            {k: v[0] for k, v in parse_qs(request.body.decode()).items()} if request.body else {}
        )
        self.completed.append(fields or {k: v[0] for k, v in request.params.items()})
        return reply({"ok": True, "files": [{"id": "F1", "title": "chart"}]})


@pytest.fixture
def slack():
    made = Slack()
    with HttpDouble(made) as double:
        made.url = double.url
        yield made


def bot(slack: Slack, **more: Any) -> Notifier:
    settings = ChannelSettings(
        name="bot", type="slack", token=TOKEN, channel="#chaos", url=f"{slack.url}/api", **more
    )
    return build(settings, illustrate=lambda *_: PICTURE)


def test_a_bot_posts_and_uploads_the_chart_into_the_thread(slack):
    delivery = Delivery()
    memory = bot(slack).deliver(message(), delivery)
    assert slack.asked == [
        "chat.postMessage",
        "files.getUploadURLExternal",
        "put-it-here",
        "files.completeUploadExternal",
    ]
    posted = slack.posted[0]
    assert posted["channel"] == "#chaos"
    assert posted["blocks"] == message_of(notice(), PICTURE)["blocks"]
    assert (posted["unfurl_links"], posted["unfurl_media"]) == (False, False)
    assert PICTURE.png in slack.uploads[0]
    assert slack.completed[0]["thread_ts"] == "17.1"
    assert slack.completed[0]["channel_id"] == "C024BE91L"
    assert slack.tokens == {f"Bearer {TOKEN}"}
    assert delivery.kept == [{"ts": "17.1", "channel": "C024BE91L"}]
    assert memory["ts"] == "17.1"


def test_after_a_crash_it_is_not_posted_again(slack):
    slack.answers["files.getUploadURLExternal"] = [reply("", status=503, kind="text/plain")]
    delivery = Delivery()
    with pytest.raises(DeliveryError, match="answers 503") as caught:
        bot(slack).deliver(message(), delivery)
    assert not caught.value.permanent
    bot(slack).deliver(message(memory=delivery.kept[-1], attempts=2), Delivery())
    assert len(slack.posted) == 1
    assert len(slack.uploads) == 1


def test_a_missing_scope_costs_the_chart_and_not_the_message(slack):
    slack.answers["files.getUploadURLExternal"] = [reply({"ok": False, "error": "missing_scope"})]
    assert bot(slack).deliver(message(), Delivery())["ts"] == "17.1"


@pytest.mark.parametrize(
    ("answer", "permanent", "after", "said"),
    [
        (reply({"ok": False, "error": "channel_not_found"}), True, None, "channel_not_found"),
        (reply({"ok": False, "error": "invalid_auth"}), True, None, "invalid_auth"),
        (reply({"ok": False, "error": "internal_error"}), False, None, "internal_error"),
        (
            reply({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "30"}),
            False,
            30.0,
            "429",
        ),
        (reply("<html>bad gateway</html>", status=502, kind="text/html"), False, None, "502"),
    ],
)
def test_what_the_api_answers(slack, answer, permanent, after, said):
    slack.answers["chat.postMessage"] = [answer]
    delivery = Delivery()
    with pytest.raises(DeliveryError) as caught:
        bot(slack).deliver(message(), delivery)
    assert (caught.value.permanent, caught.value.retry_after) == (permanent, after)
    assert said in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert delivery.kept == []


def test_an_api_that_says_nothing(slack):
    slack.answers["chat.postMessage"] = [silence]
    with pytest.raises(DeliveryError, match="did not answer within") as caught:
        bot(slack, deadline=1.0).deliver(message(), Delivery())
    assert not caught.value.permanent


def test_a_run_that_begins_has_no_chart(slack):
    settings = ChannelSettings(
        name="b", type="slack", token=TOKEN, channel="C1", url=f"{slack.url}/api/"
    )
    build(settings).deliver(message(), Delivery())
    assert slack.asked == ["chat.postMessage"]
    assert RUN in json.dumps(slack.posted[0])
