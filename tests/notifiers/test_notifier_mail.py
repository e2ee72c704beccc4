"""Mail, by a real server: with TLS and a login, in both forms, and what a server can answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sloguard.notifiers.base import Notice
from sloguard.notifiers.building import build
from sloguard.notifiers.calling import Access
from sloguard.notifiers.mail import Mail, Server
from sloguard.notifiers.mail_text import html_of, text_of
from sloguard.notifiers.secrets import Secret
from sloguard.ports.outbox import DeliveryError
from sloguard.settings.notify import ChannelSettings
from tests.support.golden import same_as_golden
from tests.support.http_double import HttpDouble, silence
from tests.support.mail_server import Post, mail_server
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

PASSWORD = "hunter2-hunter2"


def mail(post: Post, **more) -> Mail:
    given = {
        "host": "127.0.0.1",
        "port": post.port,
        "security": "none",
        "sender": "sloguard <chaos@example.com>",
        "to": ("ops@example.com",),
        **more,
    }
    return build(ChannelSettings(name="mail", type="email", **given), illustrate=lambda *_: PICTURE)  # type: ignore[return-value]


def test_a_mail_says_it_twice_and_holds_the_chart():
    with mail_server() as post:
        assert mail(post).deliver(message(), Delivery())["sent"]
    found = post.mails[0]
    assert found["From"] == "sloguard <chaos@example.com>"
    assert found["To"] == "ops@example.com"
    assert found["Subject"].startswith("Checkout keeps its promise: deviated.")
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["X-Sloguard-Run"] == RUN
    text, html = found.get_body(("plain",)), found.get_body(("html",))
    assert "12% at 12:00:10Z, not < 5%" in text.get_content()
    assert "12% at 12:00:10Z, not &lt; 5%" in html.get_content()
    images = [part for part in found.walk() if part.get_content_type() == "image/png"]
    assert [part.get_content() for part in images] == [PICTURE.png]
    assert images[0]["Content-ID"].strip("<>") in html.get_content()


def test_attempts_have_one_id_and_a_run_is_one_thread():
    with mail_server() as post:
        channel = mail(post)
        for key in ("a", "a", "b"):
            channel.deliver(message(key=key), Delivery())
    ids = [found["Message-ID"] for found in post.mails]
    assert ids[0] == ids[1] != ids[2]
    assert len({found["References"] for found in post.mails}) == 1


def test_over_starttls_with_a_login(certificates, tmp_path):
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    context = certificates.server_context()
    with mail_server(Post(password=PASSWORD), starttls=context) as post:
        given = {"security": "starttls", "username": "chaos", "ca_file": certificates.authority}
        mail(post, password_file=secret, **given).deliver(message(), Delivery())
        assert post.protected == [True]
        with pytest.raises(DeliveryError) as caught:
            mail(post, password="wrong-password", **given).deliver(message(), Delivery())
        assert "refuses the login (535)" in str(caught.value)
        assert not caught.value.permanent
        with pytest.raises(DeliveryError) as caught:
            mail(post, password=PASSWORD, security="starttls", username="chaos").deliver(
                message(), Delivery()
            )
        assert "certificate that is not trusted" in str(caught.value)
        unchecked = {**given, "ca_file": None, "verify": False}
        mail(post, password=PASSWORD, **unchecked).deliver(message(), Delivery())
    assert post.protected == [True, True]


def test_over_tls(certificates):
    with mail_server(tls=certificates.server_context()) as post:
        mail(post, security="tls", ca_file=certificates.authority).deliver(message(), Delivery())
    assert post.protected == [True]


def test_where_no_starttls_is_offered_nothing_is_sent():
    with mail_server() as post, pytest.raises(DeliveryError) as caught:
        mail(post, security="starttls").deliver(message(), Delivery())
    assert caught.value.permanent
    assert "offers no STARTTLS" in str(caught.value)
    assert post.mails == []


@pytest.mark.parametrize(
    ("answer", "permanent"), [("451 later", False), ("452 full", False), ("554 spam", True)]
)
def test_what_the_server_answers(answer, permanent):
    with mail_server(Post(answers=[answer])) as post:
        with pytest.raises(DeliveryError) as caught:
            mail(post).deliver(message(), Delivery())
        assert caught.value.permanent is permanent
        assert answer.split()[1] in str(caught.value)
        mail(post).deliver(message(), Delivery())
    assert len(post.mails) == 1


def test_some_recipients_refused_are_told_and_all_refused_is_an_error():
    refuses = {"gone@example.com": "550 no such user", "busy@example.com": "450 busy"}
    with mail_server(Post(refuses=refuses)) as post:
        memory = mail(post, to=("ops@example.com", "gone@example.com")).deliver(
            message(), Delivery()
        )
        assert memory["refused"] == ["gone@example.com"]
        assert post.recipients == [["ops@example.com"]]
        for to, permanent in (("gone@example.com", True), ("busy@example.com", False)):
            with pytest.raises(DeliveryError) as caught:
                mail(post, to=(to,)).deliver(message(), Delivery())
            assert caught.value.permanent is permanent
            assert to in str(caught.value)


def test_a_server_that_says_nothing_is_not_waited_for():
    with HttpDouble(lambda _: silence) as double:
        server = Server(
            host="127.0.0.1", port=double.port, security="none", access=Access(deadline=0.2)
        )
        channel = Mail("email:x", server, "a@b.c", ["d@e.f"])
        with pytest.raises(DeliveryError, match=r"mail server 127.0.0.1:\d+ did not answer within"):
            channel.deliver(message(), Delivery())


def test_nobody_there():
    with HttpDouble(lambda _: silence) as double:
        port = double.port
    server = Server(host="127.0.0.1", port=port, security="none")
    with pytest.raises(DeliveryError, match="could not be reached: Connection refused"):
        Mail("email:x", server, "a@b.c", ["d@e.f"]).deliver(message(), Delivery())


def test_no_title_writes_a_header_of_its_own():
    told = {**payload(), "headline": f"x\r\nBcc: victim@example.com\n{HOSTILE}"}
    with mail_server() as post:
        mail(post).deliver(message(told), Delivery())
    found = post.mails[0]
    assert found["Bcc"] is None
    assert "\n" not in found["Subject"]
    assert "\x1b" not in found["Subject"]
    assert post.recipients == [["ops@example.com"]]


def test_html_is_escaped_and_links_go_where_links_go():
    told = Notice.of(
        {
            **payload(),
            "headline": HOSTILE,
            "reason": "<script>alert(1)</script>",
            "link": "javascript:x",
        }
    )
    html = html_of(told, "", None)
    assert "<b>*Checkout" not in html
    assert "<script>" not in html
    assert "javascript:" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in text_of(told)


def test_a_sender_that_is_none():
    with mail_server() as post, pytest.raises(DeliveryError, match="is no address") as caught:
        mail(post, sender="nobody").deliver(message(), Delivery())
    assert caught.value.permanent


def test_the_password_is_in_no_error(tmp_path: Path):
    server = Server(host="127.0.0.1", port=1, username="u", password=Secret("password", PASSWORD))
    assert PASSWORD not in repr(server)
    missing = Secret("password", file=tmp_path / "none")
    server = Server(host="127.0.0.1", port=1, username="u", password=missing)
    with pytest.raises(DeliveryError, match="the password cannot be read from"):
        Mail("email:x", server, "a@b.c", ["d@e.f"]).deliver(message(), Delivery())


def test_the_words():
    same_as_golden("notify/mail-deviated.txt", text_of(notice()))
    same_as_golden("notify/mail-fault-left.txt", text_of(notice(*left_behind())))
    html = html_of(notice(*left_behind()), "cid:chart", PICTURE)
    same_as_golden("notify/mail-fault-left.html", html)
    assert not re.search(r"https?://(?!chaos\.example\.com)", html)
