"""Whatever texts people, experiments and alerts bring along, a page shows them and does nothing else."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from sloguard.web.access.headers import PAGE_CSP
from tests.support import runs as stored
from tests.support.service import EXPERIMENT, World, body_of, make_world

EVIL = "'\"></title></textarea><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
RUN, LIVE = stored.RUN, "20260101T125900-aaaaaa"
#: Members of a document that hold words of people, of experiments or of Prometheus.
FREE = re.compile(
    r"name|title|experiment|description|reason|summary|message|detail|query|note|text|label|alert"
    r"|service|instance|severity|tags|target|tool|hint"
)
#: What a rule of the url map asks for.
ARGUMENTS = {"revision": "x", "name": "site.css", "format": "svg", "form": "csv", "shape": "md"}
#: Kinds of things that a run, an experiment or a window in an address can be.
NAMED = {"run": (RUN, LIVE), "experiment": ("evil", "broken"), "window": (), "report": ()}


_ELSEWHERE = ("javascript:", "data:", "vbscript:", "//", "http:", "https:")


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def trouble(text: str) -> list[str]:
    """Everything in a page that could act, or come from elsewhere."""
    found = []
    for tag, attributes in Page(text).tags:
        where = f"<{tag} {attributes}>"
        address = attributes.get("src") or ""
        if tag in ("iframe", "object", "embed", "base", "style", "applet", "frame"):
            found.append(where)
        if tag == "script" and not address.startswith("/static/"):
            found.append(where)
        if tag == "img" and not address.startswith("/"):
            found.append(where)
        for name, value in attributes.items():
            place = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or name == "style":
                found.append(where)
            leads = name in ("href", "src", "action", "formaction", "poster")
            if leads and place.startswith(_ELSEWHERE):
                found.append(where)
    return found


def poisoned(value: Any, key: str = "") -> Any:
    """A document with words like no one should choose."""
    if isinstance(value, dict):
        return {k: poisoned(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(item, key) for item in value]
    if isinstance(value, str) and FREE.search(key):
        return f"{value}{EVIL}"
    return value


def poison(place: Path) -> None:
    """The words of every run in a store."""
    connection = sqlite3.connect(place)
    for table, columns in {
        "runs": ("title", "reason", "document", "resolved", "declared"),
        "activities": ("name", "error"),
        "faults": ("name", "target", "detail"),
        "events": ("data",),
        "tags": ("tag",),
    }.items():
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for column in set(columns) & known:
            for row, text in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                if not text:
                    continue
                is_json = text[0] in "{["
                made = json.dumps(poisoned(json.loads(text))) if is_json else f"{text}{EVIL}"
                statement = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
                connection.execute(statement, (made, row))
    connection.commit()
    connection.close()


def evil_experiment() -> str:
    """One whose every word is meant to break out of a page."""
    found = EXPERIMENT
    for word in (
        "Checkout survives a lost pod",
        "One of three is lost.",
        "It serves",
        "error-ratio",
    ):
        found = found.replace(word, json.dumps(f"{word} {EVIL}"))
    return found.replace("lose-a-pod", json.dumps(f"lose {EVIL}")).replace(
        "tags: [shop]", f"tags: [{json.dumps(EVIL)}]"
    )


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("evil")
    world = make_world(place, url=str(place / "runs.db"))
    (place / "experiments" / "evil.yaml").write_text(evil_experiment())
    broken = f"{json.dumps(EVIL)}: 1\n" + EXPERIMENT.replace("< 1%", f"< {EVIL!r}"[:40])
    (place / "experiments" / "broken.yaml").write_text(broken)
    world.is_stopping[0] = True
    alerts = [
        {
            "name": "Checkout down",
            "labels": {"alertname": "Checkout down", "severity": "page"},
            "starts_at": "2026-01-01T12:00:20Z",
            "ends_at": None,
            "firing_before": False,
            "time_to_alert_seconds": 20.0,
        }
    ]
    world.keep(RUN)
    connection = sqlite3.connect(place / "runs.db")
    [text] = connection.execute("SELECT document FROM runs WHERE id = ?", (RUN,)).fetchone()
    document = {**json.loads(text), "alerts": alerts}
    connection.execute("UPDATE runs SET document = ? WHERE id = ?", (json.dumps(document), RUN))
    connection.commit()
    connection.close()
    world.begin(LIVE)
    poison(place / "runs.db")
    client = world.client
    opened = client.post(
        "/api/v1/windows",
        json={
            "slos": "checkout",
            "title": EVIL,
            "tool": EVIL,
            "tags": [EVIL],
            "removed": {EVIL: [EVIL]},
        },
    )
    assert opened.status_code == 201, body_of(opened)
    queued = client.post(
        "/api/v1/runs", json={"experiment": "checkout", "dry_run": True, "tags": [EVIL]}
    )
    assert queued.status_code == 201
    NAMED["window"] = (body_of(opened)["window"],)
    NAMED["run"] = (RUN, LIVE, body_of(queued)["run"])
    yield world
    world.store.dispose()


def addresses(world: World) -> list[str]:
    """Every address of the url map that can be looked at, for everything that there is."""
    found = ["/search?q=" + quote(EVIL), "/runs?tag=" + quote(EVIL[:80]), "/nowhere/" + quote(EVIL)]
    found += [
        "/runs/" + quote("<script>"),
        "/experiments/" + quote("<script>"),
        "/login?next=" + quote(EVIL),
    ]
    for rule in world.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()):
            continue
        named = [name for name in rule.arguments if name in NAMED]
        unknown = rule.arguments - set(NAMED) - set(ARGUMENTS)
        assert not unknown, f"{rule}: say in ARGUMENTS or NAMED what stands for {unknown}"
        assert len(named) < 2
        given = {k: v for k, v in ARGUMENTS.items() if k in rule.arguments}
        for thing in NAMED[named[0]] if named else ("",):
            values = {**given, **({named[0]: thing} if named else {})}
            adapter = world.app.url_map.bind("localhost")
            found.append(adapter.build(rule.endpoint, values))
    return sorted(set(found))


def test_no_word_acts_on_any_page(evil: World) -> None:
    client, seen, shown = evil.client, 0, 0
    for address in addresses(evil):
        answer = client.get(address, headers={"Accept": "text/html,*/*;q=0.8"})
        assert answer.status_code < 500, (address, answer.get_data(as_text=True)[:500])
        if answer.mimetype != "text/html":
            continue
        seen += 1
        text = answer.get_data(as_text=True)
        assert trouble(text) == [], address
        assert "<script>alert" not in text, address
        assert "49" not in re.findall(r"onerror=alert\(1\)(?:&gt;|>)(\d+)", text), address
        shown += "alert(1)" in text
        policy = answer.headers["Content-Security-Policy"]
        assert "'unsafe" not in policy, address
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
    assert seen >= 12, seen
    # Else the pages would be fine because nothing was on them.
    assert shown >= 8, shown


def test_no_word_acts_in_a_picture(evil: World) -> None:
    client = evil.client
    pictures = [
        f"/api/v1/runs/{RUN}/chart.svg",
        f"/api/v1/runs/{RUN}/chart.svg?theme=dark",
        "/api/v1/badge/evil.svg",
        "/api/v1/badge/checkout.svg",
    ]
    for address in pictures:
        answer = client.get(address)
        assert answer.status_code == 200, address
        for element in ElementTree.fromstring(answer.data).iter():
            tag = str(element.tag).rpartition("}")[2]
            assert tag not in ("script", "foreignObject", "iframe", "image"), address
            assert not [name for name in element.attrib if name.lower().startswith("on")], address
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert "script" not in answer.headers["Content-Security-Policy"]


def test_data_is_never_taken_for_a_page(evil: World) -> None:
    for address in (
        "/api/v1/runs",
        f"/api/v1/runs/{RUN}",
        "/api/v1/runs/%3Cscript%3E",
        f"/api/v1/runs/{RUN}/journal",
        f"/api/v1/runs/{RUN}/samples.csv",
        "/api/v1/experiments/broken",
        "/api/v1/windows",
        "/metrics",
    ):
        answer = evil.client.get(address, headers={"Accept": "application/json"})
        assert answer.mimetype != "text/html", address
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_every_answer_tells_browsers_to_be_careful(evil: World) -> None:
    for address in addresses(evil):
        answer = evil.client.get(address)
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        if not answer.is_json:
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert "camera=()" in headers["Permissions-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] in ("same-origin", "same-site")
        assert headers["Content-Security-Policy"]
        kept = headers["Cache-Control"]
        assert "no-store" in kept or "no-cache" in kept or address.startswith("/static/"), address
        assert "Access-Control-Allow-Origin" not in headers
        for name in {name for name, _ in headers}:
            assert len(headers.getlist(name)) == 1 or name == "Set-Cookie", (address, name)


def test_the_policy_of_pages_knows_no_exception() -> None:
    assert "'unsafe" not in PAGE_CSP
    assert "*" not in PAGE_CSP
    assert "http" not in PAGE_CSP
