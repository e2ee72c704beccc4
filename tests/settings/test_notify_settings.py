"""notify.channels: what is read, and every mistake with its place."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from sloguard.settings import SettingsError, load_settings
from sloguard.settings.channels import key_setting
from sloguard.settings.notify import KEYS, ChannelSettings, NotifySettings

HOME = {"HOME": "/home/somebody"}
WHOLE = """
notify:
  chaostoolkit: false
  channels:
    ops:
      type: slack
      url_file: ~/slack
      when: action-needed
      tags: [shop]
      quiet: 1h
    mail: {type: email, host: mx.example.com, sender: a@example.com, to: [b@example.com, c@example.com]}
    bot: {type: slack, token_env: TOKEN, channel: C1, events: [run-deviated, fault-left], x-note: mine}
    hook: {type: http, url: "https://u:p@example.com/x", headers: {A: b}, secret: k, template: "{{ run }}"}
    cards: {type: teams, url_env: TEAMS, outcomes: [deviated], experiments: ["shop-*"], verify: false}
"""


def loaded(tmp_path: Path, text: str):
    (tmp_path / "sloguard.yaml").write_text(text)
    return load_settings(environ=HOME, directory=tmp_path)


def refused(tmp_path: Path, channels: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, f"notify:\n  channels:\n    {channels}\n")
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_channels_are_read_in_their_order(tmp_path):
    found = loaded(tmp_path, WHOLE)
    assert found.notify.chaostoolkit is False
    ops, mail, bot, hook, cards = found.channels
    assert ops == ChannelSettings(
        name="ops",
        type="slack",
        url_file=Path("~/slack").expanduser(),
        when="action-needed",
        tags=("shop",),
        quiet=3600.0,
    )
    assert (mail.to, mail.security, mail.port) == (
        ("b@example.com", "c@example.com"),
        "starttls",
        0,
    )
    assert (bot.token_env, bot.channel, bot.events) == (
        "TOKEN",
        "C1",
        ("run-deviated", "fault-left"),
    )
    assert (hook.headers, hook.template, hook.method) == ({"A": "b"}, "{{ run }}", "POST")
    assert (cards.outcomes, cards.experiments, cards.verify) == (("deviated",), ("shop-*",), False)


def test_no_secret_is_in_a_repr(tmp_path):
    text = repr(loaded(tmp_path, WHOLE))
    assert "u:p" not in text
    assert "secret='k'" not in text


@pytest.mark.parametrize(
    "text", ["# nothing\nstore: {}\n", "notify:\n", "notify: {}\n", "notify: {channels: }\n"]
)
def test_without_channels_there_are_none(tmp_path, text):
    found = loaded(tmp_path, text)
    assert found.channels == ()
    assert found.notify == NotifySettings()


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("a: {type: slak, url: x}", "3:15: notify.channels.a.type: unknown type the text 'slak'; expected "
         "one of slack, teams, http, email; did you mean 'slack'?"),
        ("a: {url: x}", "3:5: notify.channels.a.type: 'type' is missing"),
        ("a: text", "3:5: notify.channels.a: found the text 'text'; expected a mapping with type"),
        ("a b: {type: teams, url: x}", "'a b' cannot be a channel's name"),
        ("a: {type: teams}", "'url' (or 'url_file', 'url_env') is missing"),
        ("a: {type: slack}", "'url' of a webhook, or 'token' of a bot, is missing"),
        ("a: {type: slack, token: x}", "'channel', to which the bot writes, is missing"),
        ("a: {type: email, host: h, sender: s}", "'to' is missing"),
        ("a: {type: teams, url: x, url_file: y}", "url and url_file are both set; expected one of them"),
        ("a: {type: http, url: x, template: y, template_file: z}", "template and template_file are both"),
        ("a: {type: teams, url: x, host: y}", "'host' is a key of email channels"),
        ("a: {type: teams, ulr: x, url: y}", "unknown key 'ulr'"),
        ("a: {type: teams, url: x, when: needed}", "notify.channels.a.when: found 'needed'"),
        ("a: {type: teams, url: x, events: [run-devated]}", "unknown: 'run-devated'; expected one of "
         "run-started"),
        ("a: {type: teams, url: x, outcomes: [mett]}", "did you mean 'met'?"),
        ("a: {type: teams, url: x, when: always, events: [run-started]}", "when and events are both set"),
        ("a: {type: teams, url: x, quiet: soon}", "notify.channels.a.quiet: found 'soon'; expected a "
         "duration"),
        ("a: {type: email, host: h, sender: s, to: [x], port: 99999}", "a.port: found 99999"),
        ("[a]", "notify.channels: found a list; expected a mapping of channels by name"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(tmp_path, channel, told):
    (problem,) = refused(tmp_path, channel)
    assert told in problem
    assert problem.startswith("sloguard.yaml:3:")


def test_all_mistakes_are_told_at_once_and_no_secret(tmp_path):
    told = "\n".join(
        refused(tmp_path, "{a: {type: slak}, b: {type: http, url: [s3cr3t]}, c: {type: teams}}")
    )
    assert told.count("sloguard.yaml:") == 4 or told.count("sloguard.yaml:") == 3
    assert "s3cr3t" not in told


def test_every_key_is_documented_and_of_some_type():
    keys = {key for of in KEYS.values() for key in of}
    assert keys == {f.name for f in dataclasses.fields(ChannelSettings)} - {"name"}
    assert all(key_setting(key).doc.endswith(".") for key in keys)
    assert {k for k in keys if key_setting(k).secret} == {
        "url",
        "token",
        "secret",
        "password",
        "headers",
    }


def test_no_environment_variable_sets_a_channel(tmp_path):
    with pytest.raises(SettingsError):
        load_settings(environ={**HOME, "SLOGUARD_NOTIFY_CHANNELS": "x"}, directory=tmp_path)
