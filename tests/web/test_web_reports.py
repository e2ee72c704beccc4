"""Reports on pages and by the API: made, listed, read in every form, deleted; and who may do what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sloguard.web.identity import Identity
from tests.support.chaos_weeks import MONDAY, PLAN, fill
from tests.support.service import World, body_of, make_world

NOW = MONDAY.timestamp() + 7 * 86400 + 7 * 3600
REPORTS = "/api/v1/reports"
FEW = tuple(one for one in PLAN if one.setup in ("lose-a-pod", "kill-front"))


@pytest.fixture
def shop(tmp_path: Path) -> World:
    world = make_world(
        tmp_path, now=lambda: NOW, settings={"base_url": "https://chaos.example.com"}
    )
    fill(world.store, FEW)
    return world


def make(world: World, **body: object) -> str:
    answer = world.client.post(REPORTS, json=body)
    assert answer.status_code == 201, answer.get_data()
    assert answer.headers["Location"] == body_of(answer)["href"]
    return str(body_of(answer)["report"])


def test_a_week_is_made_kept_and_read_in_every_form(shop: World) -> None:
    report = make(shop, time_zone="Europe/Berlin")
    found = body_of(shop.client.get(f"{REPORTS}/{report}"))
    assert (found["name"], found["kind"], found["announced"]) == ("2026-W47", "weekly", None)
    assert found["model"]["runs"]["total"] == 2
    page = shop.client.get(f"{REPORTS}/{report}.html")
    assert page.content_type == "text/html; charset=utf-8"
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Content-Disposition"] == 'inline; filename="sloguard-2026-W47.html"'
    assert found["model"]["headline"] in page.text
    # In a file of its own links lead to where the service is.
    assert 'href="https://chaos.example.com/runs/2026' in page.text
    again = shop.client.get(f"{REPORTS}/{report}.html", headers={"If-None-Match": page.headers["ETag"]})  # fmt: skip
    assert again.status_code == 304
    text = shop.client.get(f"{REPORTS}/{report}.md")
    assert text.content_type == "text/markdown; charset=utf-8"
    assert text.text.startswith("# SLO chaos report")
    paper = shop.client.get(f"{REPORTS}/latest.pdf")
    assert paper.content_type == "application/pdf"
    assert paper.data.startswith(b"%PDF-")


def send(world: World, **fields: str) -> Any:
    """The form as a browser sends it that has just seen the page."""
    client = world.client
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/reports").text)
    assert token is not None
    data = {**fields, "csrf_token": token[1]}
    return client.post("/reports", data=data, headers={"Origin": "https://chaos.example.com"})


def test_pages_show_reports_and_make_them(shop: World) -> None:
    empty = shop.client.get("/reports").text
    assert "There are no reports yet." in empty
    assert 'value="2026-W47"' in empty
    sent = send(shop, week="2026-W46", time_zone="UTC")
    assert sent.status_code == 303
    place = sent.headers["Location"]
    page = shop.client.get(place)
    assert page.status_code == 200
    assert 'src="data:image/svg+xml;base64,' in page.text
    assert "img-src 'self' data:" in page.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    assert " style=" not in page.text
    assert 'href="/runs/2026' in page.text
    assert shop.client.get("/reports").text.count("SLO chaos report 2026-W46") >= 1
    css = page.text.split('report.css"')[0].rpartition('href="')[2] + "report.css"
    assert ".report" in shop.client.get(css).text
    refused = send(shop, week="2026-W60")
    assert refused.status_code == 422
    assert "2026 has weeks 1 to 53" in refused.text


def test_reports_of_runs(shop: World) -> None:
    runs = [run.id for run in shop.store.runs(2)]
    report = make(shop, runs=runs)
    found = body_of(shop.client.get(f"{REPORTS}/{report}"))
    assert (found["kind"], len(found["model"]["subjects"])) == ("run", 2)
    assert body_of(shop.client.post(REPORTS, json={"runs": ["nobody"]}))["type"].endswith("unknown-run")  # fmt: skip


def test_lists_are_pages(shop: World) -> None:
    # In that week nothing was run, and nothing is drawn.
    made = [make(shop, week="2020-W01") for _ in range(3)]
    first = body_of(shop.client.get(f"{REPORTS}?limit=2"))
    assert len(first["reports"]) == 2
    rest = body_of(shop.client.get(first["next"]))
    listed = [row["report"] for row in (*first["reports"], *rest["reports"])]
    assert sorted(listed) == sorted(made)
    assert body_of(shop.client.get(f"{REPORTS}?kind=run"))["reports"] == []


def test_what_cannot_be_made_is_said_so(shop: World) -> None:
    for body, kind, says in (
        ({"week": "2026-W54"}, "unusable-report", "weeks 1 to 53"),
        ({"time_zone": "Europe/Atlantis"}, "unusable-report", "no time zone"),
        ({"week": "2026-W47", "runs": ["x"]}, "invalid", "one of week, since and runs"),
        ({"until": "2026-11-01T00:00:00Z"}, "invalid", "until needs since"),
        ({"since": "2026-11-01"}, "invalid", "zone"),
    ):
        answer = shop.client.post(REPORTS, json=body)
        assert answer.status_code == 422, body
        assert body_of(answer)["type"] == f"urn:sloguard:problem:{kind}"
        assert says in answer.text
    assert shop.client.get(f"{REPORTS}/nobody").status_code == 404
    assert shop.client.get(f"{REPORTS}/nobody.pdf").status_code == 404
    assert shop.client.get("/reports/nobody").status_code == 404


def test_who_reads_may_not_make_and_only_admins_delete(shop: World, tmp_path: Path) -> None:
    report = make(shop, week="2026-W47")
    scopes: list[str] = ["read"]
    from sloguard.ports.service import Scope

    def somebody(_request: object) -> Identity:
        return Identity(name="token:x", scopes=frozenset(Scope(s) for s in scopes), via="bearer")

    other = make_world(tmp_path, now=lambda: NOW, identify=somebody)
    assert other.client.get(f"{REPORTS}/{report}").status_code == 200
    assert other.client.post(REPORTS, json={}).status_code == 403
    assert "Make it" not in other.client.get("/reports").text
    scopes[:] = ["run"]
    assert other.client.delete(f"{REPORTS}/{report}").status_code == 403
    scopes[:] = ["admin"]
    assert other.client.delete(f"{REPORTS}/{report}").status_code == 204
    assert other.client.delete(f"{REPORTS}/{report}").status_code == 404
