"""The page of a run tells what was expected of alerts, and brings the rule for a blind spot."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from sqlalchemy import select, update

from sloguard.adapters.store.tables import runs
from tests.support import runs as stored
from tests.support.alerting import EXPECTED, fired, verdict
from tests.support.service import make_world

BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
RUN = "20260101T115900-aaaaaa"


def page_of(folder: Path, **changes: object) -> str:
    """The text of the run's page, with these parts of its verdict."""
    world = make_world(folder, url=str(folder / "runs.db"))
    recorder = world.store.recorder(experiment="checkout")
    for told in stored.whole(RUN):
        recorder.record(told)
    with world.store._database.writing() as connection:
        document = json.loads(connection.execute(select(runs.c.document)).scalar_one())
        connection.execute(update(runs).values(document=json.dumps({**document, **changes})))
    answer = world.client.get(f"/runs/{RUN}", headers=BROWSER)
    world.store.dispose()
    assert answer.status_code == 200
    return html.unescape(re.sub(r"<[^>]*>", "", answer.text))


def test_expectations_with_their_reasons(tmp_path: Path) -> None:
    made = verdict(fired("High", 20, 50), fired("Other", 30), alerting=EXPECTED)
    text = page_of(tmp_path, alerts=made["alerts"], alert_coverage=made["alert_coverage"])
    assert "High (expected)" in text
    assert "High fired 20s after the fault, within 1m" in text
    assert (
        '{severity="critical"} did not fire within 30s of the fault: the alerting is the weakness'
        in text
    )
    assert "Alert Other fires" in text


def test_a_blind_spot_with_its_rule(tmp_path: Path) -> None:
    made = verdict()
    text = page_of(tmp_path, alerts=[], alert_coverage=made["alert_coverage"])
    assert "Blind spot: slo was in breach for 35s" in text
    assert made["alert_coverage"]["blind_spots"][0]["proposed_rule"].strip() in text
