"""The client and the channel against Grafana: a double that keeps to its contract, and a real one where there is.

With SLOGUARD_TEST_GRAFANA_URL and SLOGUARD_TEST_GRAFANA_TOKEN (a service account with the role Editor) what
is asked of any Grafana is asked of that one as well.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.grafana import GrafanaChannel, fitting
from sloguard.adapters.grafana_http import Grafana, GrafanaAccess, GrafanaError
from sloguard.ports.outbox import DeliveryError, Message
from tests.fakes.grafana import TOKEN, GrafanaDouble
from tests.support.certificates import Certificates
from tests.support.http_double import HttpDouble, Request

FIXTURES = Path(__file__).parents[1] / "fixtures" / "grafana"
#: Longer than any answer here takes, also on a slow machine.
DEADLINE = 20.0


@dataclass
class Place:
    """A Grafana to ask. ``double``: where it is one."""

    grafana: Grafana
    double: GrafanaDouble | None = None


@pytest.fixture(params=["double", "real"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "real":
        url = os.environ.get("SLOGUARD_TEST_GRAFANA_URL")
        if not url:
            pytest.skip("SLOGUARD_TEST_GRAFANA_URL names no Grafana")
        token = os.environ.get("SLOGUARD_TEST_GRAFANA_TOKEN", "")
        yield Place(Grafana(GrafanaAccess(url=url, token=token, deadline=DEADLINE)))
        return
    double = GrafanaDouble()
    with double.served() as server:
        yield Place(client(server), double)


@pytest.fixture
def double() -> GrafanaDouble:
    return GrafanaDouble()


@pytest.fixture
def server(double: GrafanaDouble) -> Iterator[HttpDouble]:
    with double.served() as server:
        yield server


def client(server: HttpDouble, **more: Any) -> Grafana:
    given = {"url": server.url, "token": TOKEN, "deadline": DEADLINE, **more}
    return Grafana(GrafanaAccess(**given))


def methods(double: GrafanaDouble) -> list[str]:
    return [method for method, *_ in double.requests]


class Told:
    """ports.outbox.Delivery with what has arrived before."""

    def __init__(self, earlier: Message | None = None) -> None:
        self._earlier = earlier

    def remember(self, memory: Mapping[str, Any]) -> None:
        raise AssertionError("this channel has nothing to remember before it sends")

    def earlier(self) -> Message | None:
        return self._earlier


def message(number: int = 1, id: str = "r1.during", **changed: Any) -> Message:
    payload = {
        "id": id,
        "dashboard": None,
        "panel": None,
        "time": 1000.0,
        "time_end": None,
        "tags": ["sloguard", f"sloguard-id:{id}", "run:r1"],
        "text": "chaos",
        "final": False,
        **changed,
    }
    return Message(
        channel="grafana",
        key=f"{id}:{number}",
        kind="annotation",
        stream="r1",
        payload=payload,
        number=number,
        created_at=0.0,
    )


def delivered(grafana: Grafana, one: Message, earlier: Message | None = None) -> Message:
    channel = GrafanaChannel(grafana, now=lambda: 2000.0)
    memory = channel.deliver(one, Told(earlier))
    return Message(
        **{name: getattr(one, name) for name in ("channel", "key", "kind", "payload", "number")},
        created_at=0.0,
        memory=memory,
    )


# The contract.


def test_the_double_says_what_the_contract_says() -> None:
    contract = (FIXTURES / "annotations.md").read_text("utf-8")
    double = GrafanaDouble()
    source = Path(__file__).parents[1].joinpath("fakes", "grafana.py").read_text("utf-8")
    for said in (
        "Annotation added",
        "Annotation patched",
        "Annotation deleted",
        "Annotation not found",
        "annotationId is invalid",
        "bad request data",
        "Failed to save annotation",
        "annotations.tag-limit-exceeded",
        "Unauthorized",
        "api-key.invalid",
        "Access denied",
        "accessErrorId",
    ):
        assert said in contract, said
        assert said in source, said
    assert double.tags_length == 500


def test_an_annotation_is_made_found_changed_and_removed(place: Place) -> None:
    grafana, id = place.grafana, f"test-{secrets.token_hex(6)}"
    now = round(time.time())
    tags = ["sloguard-test", f"sloguard-id:{id}", "experiment:a shop: with ü"]
    number = grafana.add({"time": now * 1000, "tags": tags, "text": "<b>chaos</b> & more"})
    try:
        assert grafana.find(tags[1:], now - 5, now + 5) == [number]
        assert grafana.find(["sloguard-test", f"sloguard-id:{id}-"], now - 5, now + 5) == []
        assert grafana.find(tags[:2], now + 60, now + 70) == []
        end = {"timeEnd": (now + 60) * 1000, "tags": [*tags, "outcome:met"], "text": "over"}
        grafana.patch(number, end)
        assert grafana.find([tags[1], "outcome:met"], now + 50, now + 70) == [number]
    finally:
        grafana.delete(number)
    assert grafana.find(tags[1:2], now - 5, now + 5) == []
    with pytest.raises(GrafanaError) as error:
        grafana.patch(number, {"text": "again"})
    assert error.value.own
    assert error.value.status in (404, 500)


def test_too_many_tags_are_refused_with_the_id_that_is_looked_for(place: Place) -> None:
    tags = [f"tag:{n:03}{'x' * 90}" for n in range(12)]
    with pytest.raises(GrafanaError) as error:
        place.grafana.add({"time": 1000, "tags": tags, "text": "x"})
    assert (error.value.status, error.value.id) == (400, "annotations.tag-limit-exceeded")


def test_no_text_is_refused_for_good(place: Place) -> None:
    with pytest.raises(GrafanaError) as error:
        place.grafana.add({"time": 1000, "text": ""})
    assert (error.value.status, error.value.own) == (400, True)


def test_a_dashboard_that_is_not_there_is_known_as_such(place: Place) -> None:
    with pytest.raises(GrafanaError) as error:
        place.grafana.dashboard("no-such-dashboard-there-is")
    assert (error.value.status, error.value.own) == (404, True)


def test_one_window_is_one_annotation_of_any_grafana(place: Place) -> None:
    id, now = f"test-{secrets.token_hex(6)}.during", round(time.time())
    tags = ["sloguard-test", f"sloguard-id:{id}"]
    begun = message(1, id, time=now, tags=tags)
    channel = GrafanaChannel(place.grafana)
    memory = channel.deliver(begun, Told())
    number = memory["annotations"][id]
    try:
        # Its answer was lost: it is found, and made no second time.
        assert channel.deliver(begun, Told()) == memory
        ended = message(2, id, time=now, time_end=now + 9.0, tags=tags, text="met", final=True)
        earlier = delivered(place.grafana, begun)
        assert channel.deliver(ended, Told(earlier)) == memory
        assert place.grafana.find(tags, now - 1, now + 1) == [number]
    finally:
        for found in place.grafana.find(tags, now - 1, now + 1):
            place.grafana.delete(found)


# What only a double can be asked.


def test_a_window_begins_is_over_and_is_judged(double: GrafanaDouble, server: HttpDouble) -> None:
    grafana = client(server)
    begun = delivered(grafana, message(1))
    over = delivered(grafana, message(2, time_end=1060.0, text="restored"), begun)
    tags = ["sloguard", "sloguard-id:r1.during", "run:r1", "outcome:met"]
    delivered(grafana, message(3, time_end=1060.0, text="met", tags=tags, final=True), over)
    (made,) = double.annotations.values()
    assert made == {
        "id": 1,
        "time": 1_000_000,
        "timeEnd": 1_060_000,
        "text": "met",
        "tags": tags,
        "dashboardUID": "",
        "panelId": 0,
    }
    assert methods(double) == ["GET", "POST", "PATCH", "PATCH", "GET"]


def test_phases_and_places_are_kept_apart(double: GrafanaDouble, server: HttpDouble) -> None:
    grafana = client(server)
    before = delivered(grafana, message(1, "r1.before"))
    during = delivered(grafana, message(2, "r1.during.shop.4", dashboard="shop", panel=4), before)
    ended = message(3, "r1.before", time_end=1010.0, final=True)
    last = delivered(grafana, ended, during)
    assert last.memory == {"annotations": {"r1.before": 1, "r1.during.shop.4": 2}}
    assert [(a["dashboardUID"], a["panelId"]) for a in double.annotations.values()] == [
        ("", 0),
        ("shop", 4),
    ]
    assert double.annotations[1]["timeEnd"] == 1_010_000


def test_a_dashboard_is_looked_for_first(double: GrafanaDouble, server: HttpDouble) -> None:
    with pytest.raises(DeliveryError, match="Dashboard not found") as error:
        delivered(client(server), message(dashboard="gone"))
    assert error.value.permanent
    assert double.annotations == {}


def test_one_that_is_gone_is_made_again_and_says_the_same(
    double: GrafanaDouble, server: HttpDouble
) -> None:
    grafana = client(server)
    for rbac in (False, True):
        double.rbac = rbac
        begun = delivered(grafana, message(1))
        double.annotations.clear()
        ended = delivered(grafana, message(2, time_end=1060.0, final=True), begun)
        (made,) = double.annotations.values()
        assert (made["time"], made["timeEnd"]) == (1_000_000, 1_060_000)
        assert ended.memory["annotations"]["r1.during"] == made["id"]
        double.annotations.clear()


def test_a_500_for_one_that_is_there_is_trouble_and_not_gone(
    double: GrafanaDouble, server: HttpDouble
) -> None:
    begun = delivered(client(server), message(1))
    double.trouble = lambda request: "after-500" if request.method == "PATCH" else None
    with pytest.raises(DeliveryError, match="500") as error:
        delivered(client(server), message(2, time_end=1060.0), begun)
    assert not error.value.permanent
    assert len(double.annotations) == 1


def test_a_proxys_404_is_not_grafanas(double: GrafanaDouble, server: HttpDouble) -> None:
    begun = delivered(client(server), message(1))
    double.trouble = lambda _: "gone"
    with pytest.raises(DeliveryError, match="default backend") as error:
        delivered(client(server), message(2, time_end=1060.0), begun)
    assert not error.value.permanent
    assert list(double.annotations) == [1]


def test_a_message_that_was_overtaken_changes_nothing(
    double: GrafanaDouble, server: HttpDouble
) -> None:
    grafana = client(server)
    ended = delivered(grafana, message(2, time_end=1060.0, text="met", final=True))
    assert delivered(grafana, message(1), ended).memory == ended.memory
    assert double.annotations[1]["text"] == "met"


def test_twice_is_made_once_again_by_the_last_message(
    double: GrafanaDouble, server: HttpDouble
) -> None:
    """A server that had the first one only after it was looked for: nobody can know that in time."""
    grafana = client(server)
    troubles = iter([None, "late"])
    double.trouble = lambda _: next(troubles, None)
    with pytest.raises(DeliveryError) as error:
        delivered(grafana, message(1))
    assert error.value.retry_after == DEADLINE
    begun = delivered(grafana, message(1))
    assert len(double.annotations) == 2
    ended = delivered(grafana, message(2, time_end=1060.0, final=True), begun)
    (made,) = double.annotations.values()
    assert ended.memory["annotations"]["r1.during"] == made["id"]
    assert made["timeEnd"] == 1_060_000


def test_where_it_may_not_delete_the_second_one_stays_and_all_goes_on(
    double: GrafanaDouble, server: HttpDouble, caplog: pytest.LogCaptureFixture
) -> None:
    begun = delivered(client(server), message(1))
    double.annotations[7] = {**double.annotations[1], "id": 7}
    double.allowed = frozenset({"GET", "POST", "PATCH"})
    delivered(client(server), message(2, time_end=1060.0, final=True), begun)
    assert set(double.annotations) == {1, 7}
    assert "annotation 7 is there twice, and stays" in caplog.text


@pytest.mark.parametrize(
    ("trouble", "said", "permanent", "retry_after"),
    [
        ("refuse", "answered 503: the database is locked", False, DEADLINE),
        ("hang up", "the connection was closed without an answer", False, DEADLINE),
        ("busy", "answered 429: Too many requests", False, 17.0),
        ("login", "a web page titled 'Sign in'", False, DEADLINE),
    ],
)
def test_what_passes_is_tried_again(
    double: GrafanaDouble,
    server: HttpDouble,
    trouble: str,
    said: str,
    permanent: bool,
    retry_after: float,
) -> None:
    double.trouble = lambda _: trouble
    with pytest.raises(DeliveryError, match=said) as error:
        delivered(client(server), message())
    assert (error.value.permanent, error.value.retry_after) == (permanent, retry_after)
    assert server.url in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"token": ""}, "answered 401: Unauthorized"),
        ({"token": "glsa_wrong"}, "answered 401: Invalid API key"),
        ({"token": "", "username": "admin", "password": "wrong-password"}, "answered 401"),
    ],
)
def test_credentials_that_are_refused_can_be_mended(
    server: HttpDouble, given: dict[str, str], said: str
) -> None:
    with pytest.raises(DeliveryError, match=said) as error:
        delivered(client(server, **given), message())
    assert (error.value.permanent, error.value.retry_after) == (False, 60.0)
    for secret in filter(None, [given["token"], given.get("password")]):
        assert secret not in str(error.value)


def test_what_the_account_may_not_do_is_told(double: GrafanaDouble, server: HttpDouble) -> None:
    double.allowed = frozenset({"GET"})
    with pytest.raises(
        DeliveryError, match=r"403: Access denied: You'll need.*role Editor"
    ) as error:
        delivered(client(server), message())
    assert (error.value.permanent, error.value.retry_after) == (False, 60.0)


def test_a_silent_server_is_left_at_the_deadline(double: GrafanaDouble, server: HttpDouble) -> None:
    double.trouble = lambda _: "silence"
    with pytest.raises(DeliveryError, match="no complete answer in time"):
        delivered(client(server, deadline=0.2), message())


def test_what_an_account_is_known_by(double: GrafanaDouble, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with double.served() as server:
        basic = {"token": "", "username": "admin", "password": "secret-password"}
        inside = server.url.replace("//", "//admin:secret-password@")
        for given in (
            {},
            {"token": "", "token_file": file},
            basic,
            {"token": "", "url": inside},
            {"org_id": 7, "headers": {"X-Proxy": "let-me-in"}},
        ):
            assert client(server, **given).organisation() == "Main Org."
        last = server.requests[-1].headers
        assert (last["x-grafana-org-id"], last["x-proxy"]) == ("7", "let-me-in")
        file.write_text("glsa_rotated")
        with pytest.raises(GrafanaError, match="401"):
            client(server, token="", token_file=file).organisation()
        file.unlink()
        with pytest.raises(GrafanaError, match=r"the token file .* cannot be read"):
            client(server, token="", token_file=file).organisation()


def test_tls_of_ones_own_with_a_certificate_of_the_client(
    double: GrafanaDouble, certificates: Certificates
) -> None:
    with double.served(tls=certificates.server_context(ask_client=True)) as server:
        with pytest.raises(GrafanaError, match="certificate is not trusted"):
            client(server).organisation()
        mine = {
            "ca_file": certificates.authority,
            "cert_file": certificates.certificate("client"),
            "key_file": certificates.key("client"),
        }
        assert client(server, **mine).organisation() == "Main Org."
        assert client(server, **{**mine, "ca_file": None}, verify=False).version() == "11.4.0"


def test_a_redirect_is_told_and_not_followed(server: HttpDouble) -> None:
    from tests.support.http_double import reply

    target = {"Location": "https://user:pass@login.example.com/start?token=abc"}
    with HttpDouble(lambda _: reply("", 302, headers=target)) as other:
        with pytest.raises(GrafanaError, match=r"redirect to login\.example\.com/start") as error:
            client(other).organisation()
        assert "pass" not in str(error.value)
        assert "abc" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "grafana:3000"}, "must begin with http"),
        ({"url": "http://g/?x=1"}, "leave out"),
        ({"url": "http://[::1"}, "not a URL"),
        ({"token": "a", "username": "b"}, "a username and a token are both set"),
        ({"password": "b"}, "no username"),
        ({"key_file": Path("k")}, "no certificate file"),
        ({"headers": {"a": "b\r\nc: d"}}, "line break"),
    ],
)
def test_settings_that_do_not_fit_are_told_before_anything_is_sent(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        GrafanaAccess(**{"url": "http://127.0.0.1:1", **given})


def test_no_secret_is_in_a_repr() -> None:
    access = GrafanaAccess(
        url="http://user:hidden-one@127.0.0.1", headers={"a": "hidden-two"}, password=""
    )
    assert "hidden" not in repr(access)
    assert access.address == "http://127.0.0.1"


def test_the_first_tags_are_kept_where_not_all_fit(
    double: GrafanaDouble, server: HttpDouble
) -> None:
    tags = ["sloguard", "sloguard-id:r1.during", *(f"target:{n}" + "ü" * 40 for n in range(20))]
    chosen = fitting(tags, 500)
    assert chosen == tags[: len(chosen)]
    assert 1 + sum(len(tag.encode()) + 3 for tag in chosen) <= 500
    assert fitting(["a", "a", "key:" + "v" * 300], 500) == ["a", "key:" + "v" * 100]
    delivered(client(server), message(tags=tags))
    assert double.annotations[1]["tags"] == chosen
    # Where Grafana was set to take fewer, it gets what it cannot be known without.
    double.tags_length = 100
    ended = delivered(client(server), message(2, id="r2.during", tags=tags))
    assert double.annotations[ended.memory["annotations"]["r2.during"]]["tags"] == tags[:2]


def test_the_message_of_a_refusal_need_not_be_json(server: HttpDouble) -> None:
    def script(request: Request) -> Callable[..., bool]:
        from tests.support.http_double import reply

        return reply(json.dumps(["odd"]), 418)

    with HttpDouble(script) as odd, pytest.raises(GrafanaError, match=r'418: .\["odd"\]'):
        client(odd).organisation()
