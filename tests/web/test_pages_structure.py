"""Pages as they are written: structure, empty states, nothing that is not escaped, forms that change things."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from sloguard.adapters.store import Store
from sloguard.core.model import Verdict
from sloguard.core.people import Ask
from sloguard.ports.service import JobState, WindowState
from sloguard.web.problems import MEDIA_TYPE
from tests.support import runs as stored
from tests.support.service import NOW, World, make_world

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
RUN = "20260101T115900-aaaaaa"
PLACES = ["/", "/experiments", "/experiments/checkout", "/experiments/broken", "/runs"]
PLACES += [
    f"/runs/{RUN}",
    "/windows",
    "/backlog",
    "/alerts",
    "/alerts/runs",
    "/alerts/refused",
    "/outbox",
    "/search",
    "/search?q=checkout",
    "/nowhere",
]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"


class Outline(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def shown(world: World, place: str, status: int = 200) -> str:
    answer = world.client.get(place, headers=BROWSER)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "text/html"
    return answer.text


def send(world: World, place: str, **fields: str) -> Any:
    """A form of our own page."""
    client = world.client
    page = client.get("/windows", headers=BROWSER).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    return client.post(place, data={"csrf_token": token[1], **fields}, headers=BROWSER)


def test_every_page_has_landmarks_names_and_nothing_inline(world: World) -> None:
    world.keep(RUN)
    for place in PLACES:
        _holds_together(world, place)


def _holds_together(world: World, place: str) -> None:
    outline = Outline(shown(world, place, 404 if place == "/nowhere" else 200))
    assert [a["lang"] for a in outline.all("html")] == ["en"]
    for landmark in ("header", "main", "footer", "h1", "title"):
        assert len(outline.all(landmark)) == 1, landmark
    assert outline.all("a")[0]["href"] == "#main"
    names = {a.get("for") for a in outline.all("label")}
    for kind in ("input", "select", "textarea"):
        for one in outline.all(kind):
            assert one.get("type") == "hidden" or one.get("id") in names, one
    for tag, attributes in outline.tags:
        assert tag != "style"
        assert not any(name == "style" or name.startswith("on") for name in attributes)
    assert all((a.get("src") or "").startswith("/static/") for a in outline.all("script"))
    assert all(a.get("scope") for a in outline.all("th"))
    assert all("alt" in a for a in outline.all("img"))
    assert all(a.get("datetime") and "UTC" in (a.get("title") or "") for a in outline.all("time"))


def test_pages_that_ask_for_an_approval_hold_together(world: World) -> None:
    waiting = "20260101T115900-bbbbbb"
    world.begin(waiting)
    plan = {"actions": [], "phases": {"during": "1m"}, "steady": [], "guards": [], "rollbacks": []}
    given: dict[str, Any] = {"title": HOSTILE, "digest": "d" * 64, "plan": plan}
    # The store goes by the clock of this machine.
    given |= {"asked_at": NOW, "until": time.time() + 3600}
    ask = Ask(id="q", run=waiting, minimum=2, by=(HOSTILE,), **given)
    world.store.open_ask(ask)
    link = f"/approvals/{waiting}?token={world.store.new_link('q', 'slack:ops')}"
    for place in (link, f"/runs/{waiting}"):
        _holds_together(world, place)
        text = shown(world, place)
        assert "img src=x" not in re.sub(r"&lt;.*?&gt;", "", text)
        links = re.findall(r'(?:href|src|srcset|action)="([^"]*)"', text)
        assert not [one for one in links if not one.startswith(("/", "#", "?"))]
        # A part of the address leads nowhere else, and no link hands the token on.
        assert not [one for one in links if "token=" in one or one.startswith("//")]


def test_every_page_allows_nothing_of_elsewhere(world: World) -> None:
    world.keep(RUN)
    for place in PLACES:
        answer = world.client.get(place, headers=BROWSER)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        links = re.findall(r'(?:href|src|srcset|action)="([^"]*)"', answer.text)
        assert not [link for link in links if not link.startswith(("/", "#", "?"))]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("/", "Nothing has run yet"),
        ("/runs", "There are no runs yet"),
        ("/runs?outcome=met", "No run fits"),
        ("/windows", "There are no windows yet"),
        ("/backlog", "There are no hypotheses yet"),
        ("/alerts", "Alertmanager has not sent anything yet"),
        ("/alerts/runs", "No alert fired in any run"),
        ("/alerts/refused", "Everything that came could be taken"),
        ("/outbox", "Nothing was to be told to others yet"),
        ("/outbox?state=failed", "Nothing was to be told to others yet"),
        ("/search", "Look for a service"),
        ("/search?q=zzz", "Nothing fits"),
        ("/experiments?q=zzz", "No experiment fits"),
        ("/experiments/checkout", "It has never run"),
    ],
)
def test_an_empty_page_says_what_to_do(world: World, place: str, says: str) -> None:
    text = shown(world, place)
    assert says in text
    main = text.partition("<main")[2]
    assert "<a " in main or "<code>" in main or "<form" in main


def test_a_service_without_experiments_says_how_to_begin(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    for file in (tmp_path / "experiments").iterdir():
        file.unlink()
    assert "sloguard init" in shown(world, "/experiments")
    assert "--experiments DIRECTORY" in shown(world, "/")
    world.store.dispose()


def test_a_run_is_told_whole(world: World) -> None:
    world.keep(RUN)
    text = shown(world, f"/runs/{RUN}")
    for part in (
        "The steady state did not hold: a weakness was found",
        "12%, not &lt; 5%",
        'class="chip deviated"',
        "Action: lose-a-replica",
        "processes.kill",
        "Rollback: start-it-again",
        f"/api/v1/runs/{RUN}/journal",
        "steady-state-hypothesis:",
    ):
        assert part in text, part
    assert stored.SECRET not in text


def test_a_met_run_says_so_and_is_no_weakness(world: World) -> None:
    world.keep(RUN, verdict=Verdict.MET)
    assert "The steady state held" in shown(world, f"/runs/{RUN}")
    assert "Weaknesses found" not in shown(world, "/")


def test_a_run_under_way_shows_its_phase_and_what_has_happened(world: World) -> None:
    world.begin(RUN)
    text = shown(world, f"/runs/{RUN}")
    outline = Outline(text)
    [now] = [a for a in outline.all("li") if a.get("aria-current") == "step"]
    assert now["data-phase"] == "during"
    assert any(a.get("aria-live") == "polite" for a in outline.all("p"))
    [live] = [a for a in outline.all("div") if a.get("id") == "live"]
    assert (live["data-events"] or "").startswith(f"/api/v1/runs/{RUN}/events?after=")
    assert "<noscript><meta" in text


def test_what_is_left_behind_stands_first_and_red(world: World) -> None:
    recorder = world.begin(RUN)
    assert recorder
    from sloguard.ports import Intent

    world.store.intend(
        Intent("intent-1", RUN, "method[0]", "processes.kill", "checkout[4711]", {}, "injected", "")
    )
    assert "left behind" not in shown(world, "/")
    _interrupt(world.store)
    text = shown(world, "/")
    assert "1 fault left behind" in text
    assert "checkout[4711]" in text
    assert "1 run interrupted" in text
    assert text.index("left behind") < text.index("interrupted")


def _interrupt(store: Store) -> None:
    """As if the process that carries it out had gone."""
    from sqlalchemy import update

    from sloguard.adapters.store.tables import runs

    with store._database.writing() as connection:
        connection.execute(update(runs).values(pid=2**22 + 1, process_started=1, heartbeat=0.0))


@pytest.mark.parametrize("place", ["/", "/runs", "/runs/{run}", "/search?q=losing", "/alerts"])
def test_nothing_of_an_experiment_is_markup(world: World, place: str) -> None:
    recorder = world.store.recorder(experiment="checkout")
    for told in stored.whole(RUN):
        recorder.record(told)
    _poison(world.store)
    text = shown(world, place.format(run=RUN))
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    if place != "/alerts":
        assert "&lt;script&gt;alert(1)" in text


def _poison(store: Store) -> None:
    """Titles, reasons, labels and targets as somebody with bad intentions writes them."""
    import json

    from sqlalchemy import select, update

    from sloguard.adapters.store.tables import events, faults, runs, verdicts

    with store._database.writing() as connection:
        document = json.loads(connection.execute(select(runs.c.document)).scalar_one())
        document["reason"] = HOSTILE
        for slo in document["slos"]:
            slo.update(name=HOSTILE, reason=HOSTILE, query=HOSTILE)
            for series in slo["series"]:
                series.update(labels={"service": HOSTILE}, reason=HOSTILE)
        alert = {"name": HOSTILE, "labels": {"x": HOSTILE}, "starts_at": "2026-01-01T12:00:05Z"}
        more = {"ends_at": None, "firing_before": False, "time_to_alert_seconds": 5}
        document["alerts"] = [{**alert, **more}]
        document["notes"] = [HOSTILE]
        connection.execute(
            update(runs).values(
                title=HOSTILE,
                reason=HOSTILE,
                tags=json.dumps([HOSTILE]),
                document=json.dumps(document),
            )
        )
        connection.execute(update(faults).values(target=HOSTILE, detail=HOSTILE))
        labels = json.dumps({"service": HOSTILE})
        connection.execute(update(verdicts).values(slo=HOSTILE, labels=labels, reason=HOSTILE))
        note = json.dumps({"level": "error", "message": HOSTILE})
        connection.execute(
            update(events).where(events.c.kind == "Preflight").values(kind="Note", data=note)
        )


def test_a_plan_comes_first_and_its_run_makes_the_same_choices(world: World) -> None:
    answer = send(world, "/experiments/checkout/plan", **{"var.replicas": "5", "key": "k1"})
    assert answer.status_code == 303
    plan = answer.headers["Location"].rpartition("/")[2]
    job = world.store.job(plan)
    assert job is not None
    assert (job.dry_run, dict(job.variables)) == (True, {"replicas": 5})
    assert "This page goes on by itself" in shown(world, f"/runs/{plan}")
    # Nothing runs before its plan is there.
    assert send(world, "/experiments/checkout/run", plan=plan).status_code == 409
    result = {
        "could_start": True,
        "checks": [{"name": "prometheus", "ok": True, "message": "answers"}],
        "plans": [
            {
                "activity": "lose-a-pod",
                "fault": "pods.terminate_pods",
                "targets": ["shop/checkout-1"],
                "spared": [["shop/checkout-2", "not chosen"]],
                "summary": "delete 1 of 2 pods",
            }
        ],
        "notes": [],
    }
    world.store.job_ended(plan, JobState.ENDED, exit_code=0, result=result)
    text = shown(world, f"/runs/{plan}")
    for part in ("delete 1 of 2 pods", "shop/checkout-1", "not chosen", "Run it now"):
        assert part in text
    started = send(world, "/experiments/checkout/run", plan=plan)
    run = world.store.job(started.headers["Location"].rpartition("/")[2])
    assert run is not None
    assert (run.dry_run, run.seed, dict(run.variables)) == (False, job.seed, {"replicas": 5})


def test_a_form_that_is_sent_twice_asks_once(world: World) -> None:
    places = {
        send(world, "/experiments/checkout/plan", key="same-key").headers["Location"]
        for _ in range(2)
    }
    assert len(places) == 1


def test_variables_that_do_not_fit_are_shown_with_the_form(world: World) -> None:
    answer = send(world, "/experiments/checkout/plan", **{"var.nmespace": "shop"})
    assert answer.status_code == 422
    assert "variables.nmespace" in answer.text
    assert "Plan it" in answer.text


def test_an_experiment_with_problems_says_which_and_has_no_plan(world: World) -> None:
    text = shown(world, "/experiments/broken")
    assert "It cannot be run" in text
    assert "steddy-state" in text
    assert "Plan it" not in text
    assert str(world.directory) not in text


def test_a_window_is_opened_and_closed_on_a_page(world: World) -> None:
    bad = send(world, "/windows", slos="checkout", after="soon")
    assert bad.status_code == 422
    assert "after" in bad.text
    opened = send(world, "/windows", slos="checkout", title="Game day", tool="litmus", after="2m")
    place = opened.headers["Location"]
    assert "Close it" in shown(world, place)
    assert "Game day" in shown(world, "/")
    assert send(world, f"{place}/close", detail="all is back").status_code == 303
    window = world.store.window(place.rpartition("/")[2])
    assert window is not None
    assert (window.state, window.after, window.restored_at) == (WindowState.CLOSED, 120.0, NOW)
    assert "all is back" in shown(world, place)


def test_a_queued_run_is_cancelled_on_its_page(world: World) -> None:
    job, _ = world.parts.jobs.submit_run("checkout", by="ada")
    assert "Cancel it" in shown(world, f"/runs/{job.id}")
    assert send(world, f"/runs/{job.id}/abort", reason="no").status_code == 303
    text = shown(world, f"/runs/{job.id}")
    assert "cancelled" in text
    assert "nothing was touched" in text


@pytest.mark.parametrize("place", ["/experiments/checkout/plan", "/windows", "/runs/x/abort"])
def test_a_form_of_another_site_changes_nothing(world: World, place: str) -> None:
    headers = {**BROWSER, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    answer = world.client.post(place, data={"slos": "checkout"}, headers=headers)
    assert answer.status_code == 403
    assert world.store.jobs() == ()
    assert world.store.windows() == ()


def test_problems_are_pages_for_browsers_and_json_for_programs(world: World) -> None:
    text = shown(world, "/runs/nobody", 404)
    assert "There is no such run" in text
    assert 'href="/runs"' in text
    for accept in ({}, {"Accept": "application/json"}, {"Accept": "*/*"}):
        assert world.client.get("/runs/nobody", headers=accept).mimetype == MEDIA_TYPE
    wrong = world.client.get("/runs?outcome=great", headers=BROWSER)
    assert (wrong.status_code, wrong.mimetype) == (422, "text/html")


def test_files_of_the_pages_are_kept_for_good_under_their_content(world: World) -> None:
    sheet = Outline(shown(world, "/")).all("link")[-1]["href"]
    assert sheet
    answer = world.client.get(sheet)
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.mimetype == "text/css"
    again = world.client.get(sheet, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    old = world.client.get("/static/0000/site.css")
    assert "immutable" not in old.headers["Cache-Control"]
    for name in ("../app.py", "%2e%2e%2fapp.py", "api.css"):
        assert world.client.get(f"/static/0000/{name}").status_code == 404


def test_the_runs_of_a_page_lead_to_older_ones(world: World) -> None:
    for number in range(53):
        recorder = world.store.recorder(experiment="checkout")
        for told in stored.opening(f"20260101T1159{number:02d}-aaaaaa"):
            recorder.record(told)
    text = shown(world, "/runs?kind=run")
    older = re.search(r'rel="next" href="([^"]+)"', text)
    assert older
    assert "kind=run" in older[1]
    rest = shown(world, older[1].replace("&amp;", "&"))
    assert len(re.findall(r'class="how"', text)) == 50
    assert len(re.findall(r'class="how"', rest)) == 3


def _statements(world: World, place: str) -> int:
    seen = []
    engine = world.store._database.engine

    def count(*_: Any) -> None:
        seen.append(1)

    event.listen(engine, "before_cursor_execute", count)
    try:
        shown(world, place)
    finally:
        event.remove(engine, "before_cursor_execute", count)
    return len(seen)


@pytest.mark.parametrize("place", ["/", "/experiments", "/runs", "/alerts", "/search?q=checkout"])
def test_a_page_asks_as_much_of_many_runs_as_of_few(world: World, place: str) -> None:
    world.keep("20260101T115900-000001")
    few = _statements(world, place)
    for number in range(2, 14):
        world.keep(f"20260101T115900-{number:06x}", experiment=f"shop-{number}")
    assert _statements(world, place) <= few
    assert few <= 12
