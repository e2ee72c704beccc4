"""A report that is ready goes by mail with the report itself: loaded from the store, sent by a real server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from sloguard.adapters.store import Store
from sloguard.core.reporting import StoredReport, ready
from sloguard.notifiers.base import Notice
from sloguard.notifiers.building import build
from sloguard.notifiers.reports import LARGEST, Reports
from sloguard.ports import OutsideError
from sloguard.service.notices import Notices, Rule
from sloguard.settings.notify import ChannelSettings
from tests.support.mail_server import mail_server
from tests.support.notices import Delivery, message

REPORT = StoredReport(
    id="20261123T070000-abcdef",
    kind="weekly",
    name="2026-W47",
    title="SLO chaos report 2026-W47",
    summary="8 runs: 3 met, 5 deviated.",
    start=0.0,
    end=1.0,
    created_at=2.0,
    model={"title": "SLO chaos report", "name": "2026-W47", "version": "1"},
    body='<article class="report"><h1>What chaos found</h1><p>eight runs</p></article>',
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(tmp_path / "runs.db")) as opened:
        opened.keep_report(REPORT)
        yield opened


def told(report: str = REPORT.id) -> dict[str, Any]:
    """The payload of the message that the schedule's report becomes."""
    notices = Notices([Rule(channel="email:mail")])
    (draft,) = notices.report({**ready(REPORT, "https://c/reports/x"), "report": report}, 2.0)
    return dict(draft.payload)


def test_the_report_is_attached(store: Store) -> None:
    settings = ChannelSettings(name="mail", type="email", host="127.0.0.1", security="none", sender="c@example.com", to=("o@example.com",))  # fmt: skip
    with mail_server() as post:
        from dataclasses import replace

        channel = build(replace(settings, port=post.port), attach=Reports(store))
        channel.deliver(message(told()), Delivery())
    (mail,) = post.mails
    (attached,) = [part for part in mail.walk() if part.get_filename()]
    assert (attached.get_filename(), attached.get_content_type()) == ("sloguard-2026-W47.pdf", "application/pdf")  # fmt: skip
    pages = PdfReader(io.BytesIO(attached.get_content())).pages
    assert "eight runs" in pages[0].extract_text()
    assert "8 runs: 3 met, 5 deviated." in mail.get_body(("plain",)).get_content()


def test_other_notices_and_reports_that_are_gone_have_none(store: Store) -> None:
    files = Reports(store)
    assert len(files(Notice.of(told()))) == 1
    assert files(Notice.of(told("gone"))) == ()
    assert files(Notice(event="run-deviated", headline="x", payload={"report": REPORT.id})) == ()


def test_what_fails_is_no_reason_to_send_no_mail() -> None:
    class Away:
        def report(self, report: str) -> StoredReport | None:
            raise OutsideError("the store is away")

    class Huge:
        def report(self, report: str) -> StoredReport | None:
            from dataclasses import replace

            data = "QUJD" * (LARGEST // 3)
            return replace(REPORT, name="", body=f'<img src="data:image/svg+xml;base64,{data}" alt="x">', model={})  # fmt: skip

    assert Reports(Away())(Notice.of(told())) == ()
    # Its model cannot be written either: a bug somewhere, and the mail goes out.
    assert Reports(Huge())(Notice.of(told())) == ()
