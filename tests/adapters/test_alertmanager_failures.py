"""What can go wrong with an Alertmanager, what a person reads of it, and what never shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.alertmanager import Alertmanager
from sloguard.adapters.prometheus_settings import PrometheusSettings
from sloguard.adapters.store import Store
from sloguard.bootstrap import open_alertmanager, ports
from sloguard.core.alert_rules import Matcher
from sloguard.core.text import iso_time
from sloguard.ports.silences import AlertsError, AlertsRefused, AlertsUnreachable, Narrowing
from sloguard.settings import load_settings
from tests.support.http_double import Answer, HttpDouble, Request, hang_up, in_turn, reply

PATIENCE = 60.0
SECRET = "hunter2-and-more"
NOW = 1_767_268_800.0
DATE = {"Date": "Thu, 01 Jan 2026 12:00:30 GMT"}


def manager(*urls: str, now: float = NOW, **settings: Any) -> Alertmanager:
    quick = {"deadline": PATIENCE, "backoff": 0.01, "retries": 1, **settings}
    return Alertmanager([PrometheusSettings(url=url, **quick) for url in urls], now=lambda: now)


def alerts(*names: str, start: float = NOW - 20) -> Answer:
    found = [
        {"labels": {"alertname": n}, "fingerprint": f"f-{n}", "startsAt": iso_time(start), "annotations": {}}
        for n in names
    ]  # fmt: skip
    return reply(json.dumps(found))


def names(client: Alertmanager, end: float = NOW) -> list[str]:
    return [e.name for e in client.episodes(NOW - 60, end)]


CASES: list[tuple[Answer, type[AlertsError], str]] = [
    (reply('"no"', 401), AlertsRefused, "check the user and password, token or certificate"),
    (reply("<html><title>Login</title>", 200, "text/html"), AlertsError, "a web page titled 'Login'"),
    (reply("{}", 200), AlertsError, "answers not as Alertmanager's API v2 does"),
    (reply("[{}]", 200), AlertsError, "missing required field"),
    (reply('"gone"', 503), AlertsUnreachable, "answered 503 with"),
    (reply("", 302, headers={"Location": f"https://u:{SECRET}@login.test/x"}), AlertsError, "redirects (302)"),
    (hang_up, AlertsUnreachable, "the connection was closed without an answer (2 tries"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "kind", "text"), CASES)
def test_every_failure_is_classified_and_says_what_to_do(
    answer: Answer, kind: type[AlertsError], text: str
) -> None:
    with (
        HttpDouble(in_turn(answer)) as server,
        pytest.raises(kind, match="Alertmanager at http") as caught,
    ):
        names(manager(server.url))
    assert type(caught.value) is kind
    assert text in str(caught.value)
    assert "Prometheus" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_no_secret_is_in_an_error() -> None:
    def echo(request: Request) -> Answer:
        return reply(json.dumps(f"no: {request.headers}"), 403)

    with HttpDouble(echo) as server:
        for settings in (
            {"token": SECRET},
            {"username": "u", "password": SECRET},
            {"headers": {"X-Scope-OrgID": SECRET}},
        ):
            with pytest.raises(AlertsRefused) as caught:
                names(manager(server.url, **settings))
            assert SECRET not in str(caught.value)
        with_user = server.url.replace("http://", f"http://u:{SECRET}@")
        with pytest.raises(AlertsRefused) as caught:
            names(manager(with_user))
        assert SECRET not in str(caught.value)
        sent = [{name.lower() for name in request.headers} for request in server.requests]
        assert all(headers & {"authorization", "x-scope-orgid"} for headers in sent)


def test_of_a_cluster_one_answer_is_enough_and_all_that_is_told_counts() -> None:
    with HttpDouble(in_turn(alerts("A"))) as one, HttpDouble(in_turn(alerts("A", "B"))) as other:
        assert sorted(names(manager(one.url, other.url))) == ["A", "B"]
        with HttpDouble(in_turn(hang_up)) as away:
            assert names(manager(away.url, one.url)) == ["A"]
            with pytest.raises(AlertsUnreachable) as caught:
                names(manager(away.url, away.url, retries=0))
    assert str(caught.value).count("cannot be reached") == 2


def test_what_is_missing_from_a_later_answer_has_ended_unless_somebody_did_not_answer() -> None:
    times = iter([NOW, NOW + 5, NOW + 10])
    quick = {"deadline": PATIENCE, "retries": 0}
    with (
        HttpDouble(in_turn(alerts("A"), alerts(), alerts())) as one,
        HttpDouble(in_turn(alerts("A"), reply("", 500), alerts())) as other,
    ):
        servers = [PrometheusSettings(url=url, **quick) for url in (one.url, other.url)]  # type: ignore[arg-type]  # numbers all
        client = Alertmanager(servers, now=lambda: next(times))
        ends = [client.episodes(NOW - 60, NOW + 60)[0].ends_at for _ in range(3)]
    assert ends == [None, None, NOW + 10]


def test_filters_are_sent_as_matchers_and_everything_that_fires_is_asked_for() -> None:
    with HttpDouble(in_turn(alerts())) as server:
        wide = manager(server.url)
        assert isinstance(wide, Narrowing)
        narrow = wide.narrowed([Matcher("ns", "=", 'a"b'), Matcher("job", "!~", "x|y")])
        assert narrow.episodes(0, 1) == []
    (request,) = server.requests
    assert request.params["filter"] == ['ns="a\\"b"', 'job!~"x|y"']
    assert {request.params[k][0] for k in ("active", "silenced", "inhibited", "unprocessed")} == {
        "true"
    }


def test_a_silence_ends_by_the_servers_own_clock() -> None:
    def script(request: Request) -> Answer:
        if request.method == "POST":
            return reply('{"silenceID": "s-1"}')
        return reply('{"versionInfo": {"version": "0.25.0"}}', headers=DATE)

    with HttpDouble(script) as server:
        client = manager(server.url, now=NOW - 9999)
        assert client.create([Matcher("a", "!=", "b")], 60.0, "why", "token") == "s-1"
        assert client.check() == f"Alertmanager at {server.url} (0.25.0)"
    body = json.loads(next(r.body for r in server.requests if r.method == "POST"))
    assert (body["startsAt"], body["endsAt"]) == ("2026-01-01T12:00:30Z", "2026-01-01T12:01:30Z")
    assert (body["createdBy"], body["comment"]) == ("sloguard", "why [token]")
    assert body["matchers"] == [{"name": "a", "value": "b", "isRegex": False, "isEqual": False}]


def silences(*states: str) -> Answer:
    found = [
        {"id": f"s-{i}", "status": {"state": s}, "createdBy": "sloguard", "comment": "x [token]"}
        for i, s in enumerate(states)
    ]
    foreign = {
        "id": "other",
        "status": {"state": "active"},
        "createdBy": "me",
        "comment": "[token]",
    }
    return reply(json.dumps([*found, foreign]))


def test_only_what_is_ours_and_not_over_is_ended() -> None:
    with HttpDouble(
        lambda request: (
            reply("") if request.method == "DELETE" else silences("expired", "active", "pending")
        )
    ) as server:
        assert manager(server.url).expire("token") == "ended the silence s-1, s-2"
    deleted = [r.path for r in server.requests if r.method == "DELETE"]
    assert deleted == ["/api/v2/silence/s-1", "/api/v2/silence/s-2"]


def test_a_silence_is_not_held_to_be_gone_while_a_server_does_not_answer() -> None:
    with HttpDouble(in_turn(silences("expired"))) as one, HttpDouble(in_turn(hang_up)) as away:
        with pytest.raises(AlertsUnreachable):
            manager(one.url, away.url).expire("token")
        assert manager(one.url).expire("token") == ""


def test_settings_reach_it_and_what_does_not_fit_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    text = f"alertmanager: {{url: [http://a.test:9093, http://b.test:9093], token_file: {tmp_path / 'token'}}}\n"
    (tmp_path / "sloguard.yaml").write_text(text)
    settings = load_settings(environ={}, directory=tmp_path)
    assert open_alertmanager(settings) is not None
    assert open_alertmanager(load_settings(environ={}, directory=tmp_path / "none")) is None
    wrong = load_settings(
        environ={
            "SLOGUARD_ALERTMANAGER_URL": "ftp://a.test",
            "SLOGUARD_ALERTMANAGER_PASSWORD": "x",
        },
        directory=tmp_path / "none",
    )
    with pytest.raises(AlertsError, match=r"Alertmanager: .*http:// or https://.*no username"):
        open_alertmanager(wrong)


def test_settings_that_do_not_fit_do_not_stand_before_an_undo(tmp_path: Path) -> None:
    settings = load_settings(
        environ={"SLOGUARD_ALERTMANAGER_URL": "ftp://a.test"}, directory=tmp_path
    )
    store = Store(str(tmp_path / "runs.db"))
    with pytest.raises(AlertsError):
        ports(settings, store)
    assert ports(settings, store, metrics=False).silences is None
    store.dispose()
