"""Any HTTP endpoint: what is sent, how it is signed, what answers mean, and what no error says."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import pytest

from sloguard.notifiers.base import Notifier
from sloguard.notifiers.building import build
from sloguard.notifiers.calling import Access, host_of, retry_after
from sloguard.notifiers.http import HttpCall
from sloguard.notifiers.secrets import Secret
from sloguard.ports.outbox import DeliveryError
from sloguard.settings.notify import ChannelSettings
from tests.support.http_double import HttpDouble, hang_up, in_turn, reply, silence, trickled
from tests.support.notices import RUN, STORY, Delivery, message, payload, started, verdict

OK = reply("", status=204)
KEY = "a-key-of-some-length"
SECRET_PATH = "/hooks/T0123456789/s3cr3t-s3cr3t"


def channel(url: str, *, document=verdict, **more) -> Notifier:
    settings = ChannelSettings(name="hook", type="http", url=url + SECRET_PATH, **more)
    return build(settings, documents=lambda _run: document())


def impatient(url: str) -> HttpCall:
    """One that finds no verdict, and waits for none."""
    return HttpCall("http:x", Secret("address", url + SECRET_PATH), Access(), patience=0.0)


def body_of(double: HttpDouble) -> dict:
    return json.loads(double.requests[-1].body)


def test_the_body_is_the_notice_and_the_verdict():
    with HttpDouble(lambda _: OK) as double:
        channel(double.url, headers={"X-Team": "ops"}).deliver(message(), Delivery())
    request = double.requests[0]
    assert (request.method, request.path) == ("POST", SECRET_PATH)
    headers = {k.lower(): v for k, v in request.headers.items()}
    assert headers["content-type"] == "application/json"
    assert headers["x-team"] == "ops"
    assert headers["x-sloguard-event"] == "run-deviated"
    assert "x-sloguard-signature" not in headers
    told = body_of(double)
    assert told["event"] == "run-deviated"
    assert told["document"] == verdict()
    assert told["notice"] == {k: v for k, v in payload().items() if k != "quiet"}


def test_a_run_that_begins_has_no_verdict_and_waits_for_none():
    with HttpDouble(lambda _: OK) as double:
        begun = message(payload(started(), STORY))
        channel(double.url, document=lambda: None).deliver(begun, Delivery())
    assert body_of(double)["document"] is None


def test_a_verdict_that_is_not_kept_yet_is_waited_for_but_not_for_ever():
    with HttpDouble(lambda _: OK) as double:
        here = impatient(double.url)
        with pytest.raises(DeliveryError, match="not in the store yet") as caught:
            here.deliver(message(attempts=1), Delivery())
        assert (caught.value.permanent, caught.value.retry_after) == (False, 1.0)
        assert double.requests == []
        here.deliver(message(attempts=5), Delivery())
    assert body_of(double)["document"] is None


def test_the_signature_is_what_a_receiver_computes(tmp_path):
    secret = tmp_path / "key"
    secret.write_text(f"{KEY}\n")
    with HttpDouble(lambda _: OK) as double:
        channel(double.url, secret_file=secret).deliver(message(), Delivery())
    request = double.requests[0]
    headers = {k.lower(): v for k, v in request.headers.items()}
    timestamp = headers["x-sloguard-timestamp"]
    assert abs(int(timestamp) - time.time()) < 120
    mac = hmac.new(KEY.encode(), digestmod=hashlib.sha256)
    mac.update(timestamp.encode())
    mac.update(b".")
    mac.update(request.body)
    assert headers["x-sloguard-signature"] == f"sha256={mac.hexdigest()}"
    assert KEY.encode() not in request.body


def test_every_attempt_at_one_message_has_the_same_name():
    with HttpDouble(lambda _: OK) as double:
        here = channel(double.url)
        for key in ("a", "a", "b"):
            here.deliver(message(key=key), Delivery())
    headers = [{k.lower(): v for k, v in r.headers.items()} for r in double.requests]
    names = [one["x-sloguard-delivery"] for one in headers]
    assert names[0] == names[1] != names[2]


def test_a_template_makes_the_body():
    source = (
        '{"text": {{ headline|tojson }}, "run": {{ run|tojson }}, "score": {{ document.score }}}'
    )
    with HttpDouble(lambda _: OK) as double:
        here = channel(double.url, template=source, method="put", content_type="application/x-mine")
        told = {**payload(), "headline": 'He said "<b>" & \\n'}
        here.deliver(message(told), Delivery())
    request = double.requests[0]
    assert request.method == "PUT"
    assert {k.lower(): v for k, v in request.headers.items()}[
        "content-type"
    ] == "application/x-mine"
    assert body_of(double) == {"text": 'He said "<b>" & \\n', "run": RUN, "score": 0.0}


def test_a_template_in_a_file_is_read_anew(tmp_path):
    file = tmp_path / "t.j2"
    with HttpDouble(lambda _: OK) as double:
        here = channel(double.url, template_file=file)
        with pytest.raises(DeliveryError, match=r"t\.j2 cannot be read: No such file"):
            here.deliver(message(), Delivery())
        file.write_text("{{ event }} of {{ experiment }}")
        here.deliver(message(), Delivery())
    assert double.requests[0].body == b"run-deviated of checkout"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ notice.update({'x': 1}) }}",
        "{% for x in range(99999999999) %}{% endfor %}",
        "{{ nothing.at.all }}",
        "{% if %}",
    ],
)
def test_a_template_can_do_no_harm(source):
    with HttpDouble(lambda _: OK) as double:
        with pytest.raises(DeliveryError, match="the template cannot be filled") as caught:
            channel(double.url, template=source).deliver(message(), Delivery())
        assert caught.value.permanent
    assert double.requests == []


@pytest.mark.parametrize(
    ("answer", "permanent", "after"),
    [
        (reply("gone", status=410, kind="text/plain"), True, None),
        (reply({"error": "no"}, status=400), True, None),
        (reply("", status=403), True, None),
        (reply("", status=307, headers={"Location": "http://elsewhere/x"}), True, None),
        (reply("", status=408), False, None),
        (reply("", status=429, headers={"Retry-After": "17"}), False, 17.0),
        (reply("", status=503, headers={"Retry-After": "3"}), False, 3.0),
        (reply("oops", status=500), False, None),
        (hang_up, False, None),
    ],
)
def test_what_answers_mean(answer, permanent, after):
    with HttpDouble(lambda _: answer) as double:
        with pytest.raises(DeliveryError) as caught:
            channel(double.url, secret=KEY).deliver(message(), Delivery())
        port = double.port
    assert caught.value.permanent is permanent
    assert caught.value.retry_after == after
    assert f"127.0.0.1:{port}" in str(caught.value)
    for secret in (SECRET_PATH, "s3cr3t", KEY):
        assert secret not in str(caught.value)


def test_a_server_that_repeats_the_address_tells_nobody():
    def echo(request):
        return reply(
            f"no {request.target} with {request.headers} here", status=404, kind="text/plain"
        )

    with HttpDouble(echo) as double, pytest.raises(DeliveryError) as caught:
        channel(double.url, headers={"Authorization": "Bearer t0ken-t0ken"}).deliver(
            message(), Delivery()
        )
    assert "answers 404" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        silence,
        trickled(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        trickled(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
)
def test_a_slow_server_holds_nobody(answer):
    with HttpDouble(lambda _: answer) as double:
        begun = time.monotonic()
        with pytest.raises(DeliveryError, match=r"did not answer within 0\.3s") as caught:
            channel(double.url, deadline=0.3).deliver(message(), Delivery())
        assert time.monotonic() - begun < 30
    assert not caught.value.permanent


def test_certificates_are_checked_unless_that_is_turned_off(certificates):
    with HttpDouble(lambda _: OK, tls=certificates.server_context()) as double:
        with pytest.raises(DeliveryError, match="certificate that is not trusted"):
            channel(double.url).deliver(message(), Delivery())
        channel(double.url, verify=False).deliver(message(), Delivery())
        channel(double.url, ca_file=certificates.authority).deliver(message(), Delivery())
    assert len(double.requests) == 2


def test_an_address_comes_from_a_file_or_a_variable(tmp_path):
    file = tmp_path / "url"
    with HttpDouble(lambda _: OK) as double:
        file.write_text(f"{double.url}/from-file\n")
        settings = ChannelSettings(name="h", type="http", url_file=file)
        build(settings, documents=lambda _run: {}).deliver(message(), Delivery())
        file.write_text(f"{double.url}/replaced\n")
        build(settings, documents=lambda _run: {}).deliver(message(), Delivery())
    assert [r.path for r in double.requests] == ["/from-file", "/replaced"]
    unset = ChannelSettings(name="h", type="http", url_env="SLOGUARD_NO_SUCH_VARIABLE")
    with pytest.raises(DeliveryError, match=r"\$SLOGUARD_NO_SUCH_VARIABLE, which is not set"):
        build(unset, documents=lambda _run: {}).deliver(message(), Delivery())


@pytest.mark.parametrize("url", ["ftp://x/y", "nonsense", "http://[::1", "https:///p"])
def test_what_is_no_address_is_said_without_it(url):
    with pytest.raises(DeliveryError) as caught:
        host_of(url)
    assert caught.value.permanent
    assert url not in str(caught.value)


def test_retry_after_is_seconds_or_a_date():
    assert retry_after({"retry-after": "5"}) == 5
    assert retry_after({"Retry-After": "Fri, 01 Jan 2010 00:00:00 GMT"}) == 0
    late = retry_after({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"})
    assert late is not None
    assert late > 1e6
    assert [retry_after({"Retry-After": text}) for text in ("", "soon", "-3", "nan")][:3] == [
        None,
        None,
        0,
    ]
    assert retry_after({}) is None


def test_a_verdict_that_comes_a_moment_later_is_waited_for():
    kept = [None, None, verdict()]
    with HttpDouble(lambda _: OK) as double:
        channel(double.url, document=lambda: kept.pop(0) if len(kept) > 1 else kept[0]).deliver(
            message(), Delivery()
        )
    assert body_of(double)["document"] == verdict()


# Silence, of every channel alike.


def test_within_a_quiet_time_the_same_is_said_once():
    told = {**payload(), "quiet": 600.0}
    with HttpDouble(lambda _: OK) as double:
        here = channel(double.url)
        first = message(told, key="a", created_at=1000.0)
        memory = here.deliver(first, Delivery())
        assert memory == {"sent": {"run-deviated": 1000.0}}
        sent = message(told, key="a", created_at=1000.0, memory=memory)
        soon = message(told, key="b", created_at=1500.0)
        quiet = here.deliver(soon, Delivery(sent))
        assert quiet == {"sent": {"run-deviated": 1000.0}, "quiet": True}
        assert len(double.requests) == 1
        # What was not said does not lengthen the silence, and another event is another matter.
        kept = message(told, key="b", created_at=1500.0, memory=quiet)
        other = {**told, "event": "run-completed"}
        here.deliver(message(other, key="c", created_at=1501.0), Delivery(kept))
        here.deliver(message(told, key="d", created_at=1601.0), Delivery(kept))
    assert len(double.requests) == 3


def test_without_a_quiet_time_all_is_said():
    with HttpDouble(lambda _: OK) as double:
        here = channel(double.url)
        before = message(memory={"sent": {"run-deviated": 1000.0}})
        here.deliver(message(created_at=1001.0), Delivery(before))
    assert len(double.requests) == 1


def test_in_turn_a_server_may_change_its_mind():
    script = in_turn(reply("", status=502), OK)
    with HttpDouble(script) as double:
        here = channel(double.url)
        assert isinstance(here, HttpCall)
        with pytest.raises(DeliveryError):
            here.deliver(message(), Delivery())
        here.deliver(message(attempts=2), Delivery())
    assert double.requests[0].body == double.requests[1].body
