"""The report of a week over a real store: its numbers against a second computation, and its forms."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core.reporting import RunSource, StoredReport
from sloguard.core.text import format_value
from sloguard.render.report import pdf
from sloguard.render.report.known import Known, KnownExperiment, Past
from sloguard.render.report.making import weekly_model
from sloguard.render.report.period import Period, before, week, window
from sloguard.render.report.rows import Rows
from sloguard.render.report.words import fence, md, span
from sloguard.render.report.writing import body_of, markdown_of, page_of
from sloguard.service.reporting import ReportDesk
from tests.support.chaos_weeks import MONDAY, PLAN, SETUPS, Happening, Setup, Shape, fill
from tests.support.golden import same_as_golden
from tests.support.report_sums import Sums, middle, sums

NOW = (MONDAY + timedelta(days=7, hours=7)).timestamp()
FAULTS = {"pods.terminate_pods": "Terminate pods.", "network.delay": "Delay packets.",
          "network.partition": "Cut off.", "processes.kill": "Kill.", "istio.unset_fault": "Undo it.",
          "processes.cpu_stress": "Load.", "nodes.drain_nodes": "Drain.", "netpol.isolate_pods": "Isolate."}  # fmt: skip
KNOWN = Known(
    faults=FAULTS,
    experiments=[
        *(
            KnownExperiment(name=s.name, title=s.title, services=s.services)
            for s in SETUPS.values()
        ),
        KnownExperiment(name="lose-search", title="Search is away", services=("search",)),
    ],
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    """Five weeks of it."""
    path = tmp_path_factory.mktemp("shop") / "runs.db"
    with Store(str(path)) as store:
        fill(store)
        yield store, path


def desk(store: Store) -> ReportDesk:
    return ReportDesk(store, known=lambda: KNOWN, new_id=lambda: "20261123T070000-abcdef", now=lambda: NOW)  # fmt: skip


def numbers(store: Store, span_of: Period, weeks: int) -> Any:
    """The model alone: pictures take most of the time."""
    periods = before(span_of, weeks)
    end = periods[-1].end
    past = Past(
        experiments=store.experiments_past(end),
        faults=store.faults_past(end),
        history=lambda experiment, slo: store.verdict_history(experiment, slo, end),
    )
    rows = Rows.of(store.run_sources(periods[0].start, end))
    return weekly_model(rows, periods, past, KNOWN, now=NOW)


@pytest.fixture(scope="module")
def report(shop: tuple[Store, Path]) -> StoredReport:
    return desk(shop[0]).weekly(week("2026-W47"))


@pytest.fixture(scope="module")
def model(report: StoredReport) -> Any:
    return report.model


@pytest.fixture(scope="module")
def told(shop: tuple[Store, Path]) -> Sums:
    return sums(shop[1], MONDAY)


# --- the numbers ---------------------------------------------------------------------------------


def test_outcomes_of_every_week(model: Any, told: Sums) -> None:
    for shown, counted in zip(model["runs"]["periods"], told.outcomes, strict=True):
        assert {name: n for name, n in shown["outcomes"].items() if n} == dict(counted)
        assert shown["total"] == sum(counted.values())
        decided = counted["met"] + counted["deviated"]
        assert shown["held_share"] == pytest.approx(counted["met"] / decided, abs=1e-4)
    assert model["runs"]["total"] == sum(told.outcomes[-1].values()) > 0
    old = told.outcomes[:-1]
    met, bad = sum(c["met"] for c in old), sum(c["deviated"] for c in old)
    assert model["runs"]["before"]["held_share"] == pytest.approx(met / (met + bad), abs=1e-4)
    assert model["runs"]["before"]["mean_total"] == sum(map(sum, (c.values() for c in old))) / 4
    assert {row["team"]: row["runs"] for row in model["runs"]["teams"]} == dict(told.teams)


def test_weaknesses_and_since_when(model: Any, told: Sums) -> None:
    found = {(w["experiment"], w["slo"], w["service"]): w["since"] for w in model["weaknesses"]["open"]}  # fmt: skip
    assert found == told.open
    assert len(found) >= 3
    fixed = {(w["experiment"], w["slo"], w["service"]) for w in model["weaknesses"]["fixed"]}
    assert fixed == told.fixed == {("kill-front", "error-ratio", "front")}
    counts = model["weaknesses"]["counts"]
    new = sum(at >= "2026-11-16" for at in told.open.values())
    assert (counts["open"], counts["new"], counts["fixed"]) == (len(told.open), new, 1)


def test_recovered_times(model: Any, told: Sums) -> None:
    shown = {row["service"]: row for row in model["recovery"]["services"]}
    mine = {name: weeks for name, weeks in told.recoveries.items() if weeks[-1]}
    assert set(shown) >= set(mine)
    for service, weeks in mine.items():
        row = shown[service]
        assert row["periods"] == [middle(of) for of in weeks]
        assert (row["count"], row["worst_seconds"]) == (len(weeks[-1]), max(weeks[-1]))
        assert row["before_median_seconds"] == middle([s for of in weeks[:-1] for s in of])
    everything = [s for weeks in told.recoveries.values() for s in weeks[-1]]
    assert model["recovery"]["median_seconds"] == middle(everything)
    assert model["recovery"]["worst_seconds"] == max(everything)


def test_error_budgets(model: Any, told: Sums) -> None:
    shown = {(row["service"], row["slo"]): row for row in model["budget"]["services"]}
    mine = {key for key, weeks in told.spent.items() if key in shown}
    assert mine == set(shown)
    assert len(mine) == 5
    for key in mine:
        assert shown[key]["periods"] == pytest.approx(told.spent[key], abs=1e-7)
        assert shown[key]["spent"] == pytest.approx(told.spent[key][-1], abs=1e-7)
        assert shown[key]["before_mean"] == pytest.approx(sum(told.spent[key][:-1]) / 4, abs=1e-7)
    assert shown["payment", "error-ratio"]["left"] == 0.11
    assert [row["spent"] for row in model["budget"]["services"]] == sorted(
        (row["spent"] for row in model["budget"]["services"]), reverse=True
    )


def test_alert_coverage(model: Any, told: Sums) -> None:
    alerts = model["alerts"]
    assert {(b["service"], b["slo"], b["experiment"]) for b in alerts["blind"]} == told.blind
    assert told.blind
    assert alerts["median_seconds"] == middle(told.alert_seconds)
    assert (alerts["fired"], alerts["worst_seconds"]) == (len(told.alert_seconds), max(told.alert_seconds))  # fmt: skip
    assert [(n["alert"], n["service"], n["count"]) for n in alerts["noise"]] == [("QueueGrows", "catalogue", 1)]  # fmt: skip
    assert alerts["looked"] == alerts["runs"] == 8


def test_blast_radius(model: Any, told: Sums) -> None:
    radius = model["radius"]
    shown = {row["service"]: row["runs"] for row in radius["services"]}
    assert shown == {**told.hit, "search": 0}
    assert radius["services_never"] == ["cart", "search"]
    # What undoes another fault is nothing to be tried.
    assert [row["fault"] for row in radius["faults_never"]] == ["netpol.isolate_pods"]
    assert [row["experiment"] for row in radius["experiments_never"]] == ["lose-search"]
    stale = {row["experiment"]: row for row in radius["stale"]}
    assert set(stale) == {"lose-a-pod", "drain-a-node"}
    assert "deviated: error-ratio" in stale["lose-a-pod"]["why"]
    assert stale["lose-a-pod"]["last_met_at"][:10] == "2026-10-20"


def test_what_to_do_next_begins_with_what_is_left_behind(model: Any) -> None:
    kinds = [step["kind"] for step in model["next"]]
    assert kinds[0] == "left"
    assert "iptables -D OUTPUT" in model["next"][0]["do"]
    assert kinds.index("weakness") < kinds.index("blind") < kinds.index("unproven")
    assert len(kinds) <= 12


def test_a_deviation_before_the_trend_counts_for_since_when(shop: tuple[Store, Path]) -> None:
    weeks = numbers(shop[0], week("2026-W47"), 2)
    found = {(w["experiment"], w["service"]): w["since"][:10] for w in weeks["weaknesses"]["open"]}
    assert found["lose-a-pod", "checkout"] == "2026-10-27"


def test_what_was_met_in_a_run_that_was_cut_short_is_not_fixed(tmp_path: Path) -> None:
    plan = [
        Happening(0, 1, "lose-a-pod", {"checkout": Shape(50, 0)}),
        Happening(0, 2, "lose-a-pod", {}, ends="aborted"),
        Happening(0, 3, "lose-a-pod", {}, ends="not-restored"),
    ]
    with Store(str(tmp_path / "runs.db")) as store:
        fill(store, plan, weeks=1)
        made = numbers(store, week("2026-W47"), 1)["weaknesses"]
        assert made["counts"] == {"new": 1, "open": 1, "fixed": 0, "untried": 0}


def test_a_border_of_a_zone_decides_to_which_week_a_run_belongs(tmp_path: Path) -> None:
    """A run on Sunday at 23:30 UTC is Monday's in Berlin; the night on which clocks change is one of them."""
    sunday = datetime(2026, 10, 25, 23, 30, tzinfo=UTC)
    source = RunSource("r", "e", "e", (), "run", sunday.timestamp(), None, "met", "", None, None)
    for zone, expected in (("UTC", "2026-W43"), ("Europe/Berlin", "2026-W44")):
        periods = before(week("2026-W44", zone), 2)
        made = weekly_model(Rows.of([source]), periods, Past(), Known(), now=NOW)
        counted = {p["name"]: p["total"] for p in made["runs"]["periods"]}
        assert counted[expected] == 1
        assert sum(counted.values()) == 1


# --- the forms -----------------------------------------------------------------------------------


class Texts(HTMLParser):
    """What a reader sees of a page, and every tag and attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._hidden += tag in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.seen.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.seen).split())


def texts(page: str) -> Texts:
    made = Texts()
    # Where a long word may be broken it is one word all the same.
    made.feed(page.replace("<wbr>", ""))
    return made


def test_markdown_as_people_have_read_it(model: Any) -> None:
    same_as_golden("weekly.md", markdown_of(model))


def test_every_form_says_the_same_numbers(report: StoredReport, model: Any) -> None:
    page = texts(page_of(model, report.body)).text
    text = markdown_of(model)
    facts = [
        model["headline"],
        span(model["recovery"]["median_seconds"]),
        *(format_value(row["spent"], "%") for row in model["budget"]["services"]),
        *(span(row["median_seconds"]) for row in model["recovery"]["services"]),
        *(w["run"] for w in model["weaknesses"]["open"]),
        *(step["do"] for step in model["next"]),
    ]
    plain = text.replace("&lt;", "<").replace("\\", "")
    for fact in facts:
        assert fact in page, fact
        assert fact in plain, fact


def test_a_page_is_one_file(report: StoredReport, model: Any) -> None:
    """Nothing is loaded, nothing runs, and every picture has words for those who do not see it."""
    page = page_of(model, report.body)
    found = texts(page)
    assert not found.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    sources = [value for name, value in found.attributes if name in ("src", "srcset", "action")]
    assert len(sources) >= 3 + len(model["charts"])
    assert all(value.startswith("data:image/svg+xml;base64,") for value in sources)
    assert [v for n, v in found.attributes if n == "href" and not v.startswith("#")] == []
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("<img ") == len([v for n, v in found.attributes if n == "alt" and v])
    linked = page_of(model, report.body, "https://chaos.example.com/")
    addresses = {value for name, value in texts(linked).attributes if name == "href"}
    assert f"https://chaos.example.com/runs/{model['weaknesses']['open'][0]['run']}" in addresses


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`${x}{{7*7}}"
LONG = "verylongname" * 15
RTL = "שלום\u202egnp.exe עולם"
EMOJI = "💥 Überlast 负载 ½"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> StoredReport:
    """Titles, services, teams and targets by somebody who means no good, or writes from right to left."""
    setups = {
        str(n): Setup(f"e{n}", title, (f"team:{title}", title), "network.delay", title, (title, f"s{n}"))
        for n, title in enumerate((HOSTILE, LONG, RTL, EMOJI))
    }  # fmt: skip
    plan = [
        Happening(week, n, str(n), {setups[str(n)].services[0]: Shape(50, 30)}, ends="not-restored" if n == 0 else "")
        for week in range(1)
        for n in range(4)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("hostile") / "runs.db"
    with Store(str(path)) as store:
        fill(store, plan, setups=setups, weeks=1)
        return desk(store).weekly(week("2026-W47"), weeks=2)


def test_hostile_names_stay_texts(hostile: StoredReport) -> None:
    page = page_of(hostile.model, hostile.body)
    found = texts(page)
    assert "script" not in found.tags
    assert not any(name.startswith("on") for name, _ in found.attributes)
    assert "alert(1)" in found.text
    assert "{{7*7}}" in found.text
    assert "\u202e" not in page
    assert "\\u202e" in found.text
    assert "💥" in found.text
    assert LONG in found.text
    # What another tool makes HTML of Markdown with has no chance either.
    text = markdown_of(hostile.model)
    assert not [word for word in ("<script", "<img", "\u202e") if word in text]
    assert "\\`" in text


def test_markdown_of_others_is_no_markup() -> None:
    assert md("a|b *c* [x](http://y) `d` _e_ p99_latency") == (
        "a\\|b \\*c\\* \\[x\\](h\u200bttp://y) \\`d\\` \\_e\\_ p99_latency"
    )
    assert md("&lt;b&gt; <b>\n\n# no") == "&amp;lt;b&amp;gt; &lt;b&gt; \\# no"
    assert md("- item") == "\\- item"
    assert fence("```\nx") == "````\n```\nx\n````"


def test_an_empty_week_says_what_to_do(tmp_path: Path) -> None:
    with Store(str(tmp_path / "runs.db")) as store:
        made = desk(store).weekly(week("2026-W47"))
    assert made.model["headline"] == "Nothing was run, so nothing was learned."
    assert [step["kind"] for step in made.model["next"]] == ["never", "never", "plan"]
    for text in (texts(page_of(made.model, made.body)).text, markdown_of(made.model)):
        assert "lose-search" in text
        assert "None" not in text.replace("None is", "").replace("None:", "")
        assert "nan" not in text.lower().split()


def test_one_run_is_a_report_too(tmp_path: Path) -> None:
    plan = [replace(PLAN[0], week=0)]
    with Store(str(tmp_path / "runs.db")) as store:
        fill(store, plan, weeks=1)
        made = desk(store).weekly(week("2026-W47"), weeks=1)
    assert made.model["headline"] == "1 run: 1 met. No weakness is open."
    assert made.model["runs"]["before"] == {"periods": 0, "mean_total": None, "held_share": None}
    assert "nothing to compare" in texts(made.body).text


def test_thousands_of_runs_are_few_pages(shop: tuple[Store, Path]) -> None:
    """Two thousand runs in the week, of three hundred experiments and as many services."""
    (source,) = [s for s in shop[0].run_sources(0, NOW) if s.run.endswith("000018")]
    assert source.document is not None
    start = MONDAY.timestamp()

    def many() -> Iterator[RunSource]:
        for n in range(2000):
            text = str(source.document).replace('"payment"', f'"service-{n % 300:03d}"')
            yield source._replace(run=f"r{n:05d}", experiment=f"e{n % 300}", started_at=start + 60 * n, document=text)  # fmt: skip

    made = weekly_model(Rows.of(many()), [week("2026-W47")], Past(), KNOWN, now=NOW)
    assert made["runs"]["total"] == 2000
    assert made["weaknesses"]["counts"]["open"] == 600
    page = page_of(made, body_of(made, {}))
    assert len(page) < 400_000
    assert "and 560 more open weaknesses" in texts(page).text
    assert len(markdown_of(made)) < 120_000


def test_a_verdict_that_cannot_be_read_costs_its_details_only(shop: tuple[Store, Path]) -> None:
    good = list(shop[0].run_sources(MONDAY.timestamp(), NOW))
    bad = [s._replace(document='{"slos": [{"series": 7}]}') for s in good[:1]]
    made = weekly_model(Rows.of([*bad, *good[1:]]), [week("2026-W47")], Past(), KNOWN, now=NOW)
    assert made["runs"]["total"] == len(good)
    assert made["runs"]["unreadable"] == 1
    assert "1 verdict could not be read" in texts(body_of(made, {})).text


def test_any_window_has_windows_of_its_length_before_it(shop: tuple[Store, Path]) -> None:
    span_of = window(MONDAY.timestamp(), (MONDAY + timedelta(days=2)).timestamp())
    made = numbers(shop[0], span_of, 3)
    assert [p["name"] for p in made["runs"]["periods"]] == [
        "2026-11-12 to 2026-11-13",
        "2026-11-14 to 2026-11-15",
        "2026-11-16 to 2026-11-17",
    ]
    with sqlite3.connect(shop[1]) as connection:
        counted = connection.execute(
            "SELECT count(*) FROM runs WHERE started_at >= ? AND started_at < ?",
            (span_of.start, span_of.end),
        ).fetchone()[0]
    connection.close()
    assert made["runs"]["total"] == counted == 2
    assert "period" in texts(body_of(made, {})).text


def test_the_model_is_json(model: Any) -> None:
    assert json.loads(json.dumps(model, allow_nan=False)) == model


# --- on paper ------------------------------------------------------------------------------------


def texts_of(printed: bytes) -> list[str]:
    """What pypdf reads of each page."""
    from pypdf import PdfReader

    found = [page.extract_text() for page in PdfReader(io.BytesIO(printed)).pages]
    return [" ".join(text.replace("\0", "").split()) for text in found]


def letters(box: Any) -> Iterator[Any]:
    """Every piece of text that was laid out inside of a box."""
    if getattr(box, "text", None) and box.text.strip():
        yield box
    for child in getattr(box, "children", ()):
        yield from letters(child)


def on_paper(document: Any) -> None:
    """Every piece of text lies on an A4 sheet, clear of its edge, and above the page number."""
    for page in document.pages:
        assert (round(page.width), round(page.height)) == (794, 1123)
        pieces = list(letters(page._page_box))
        assert pieces
        for box in pieces:
            where = (box.text, box.position_x, box.width, box.position_y)
            assert box.position_x >= 50, where
            assert box.position_x + box.width <= page.width - 50, where
            assert 20 <= box.position_y <= page.height - 30, where


@pytest.fixture(scope="module")
def sheets(report: StoredReport) -> Any:
    return pdf.laid_out(page_of(report.model, report.body))


def test_a_pdf_has_what_the_page_has(sheets: Any, model: Any) -> None:
    pages = texts_of(sheets.write_pdf())
    assert 5 <= len(pages) <= 12
    # The first page is enough to skim.
    assert model["headline"] in pages[0]
    assert all(step["do"] in pages[0] for step in model["next"][:5])
    whole = " ".join(pages)
    for row in model["budget"]["services"]:
        assert format_value(row["spent"], "%") in whole
    for weakness in model["weaknesses"]["open"]:
        assert weakness["run"] in whole
    for number, page in enumerate(pages, 1):
        assert f"page {number} of {len(pages)}" in page
    assert all("SLO chaos report, 2026-W47" in page for page in pages[1:])


def test_nothing_is_cut_off_on_paper(sheets: Any) -> None:
    on_paper(sheets)


def test_long_words_and_other_scripts_fit_on_paper(hostile: StoredReport) -> None:
    found = pdf.laid_out(page_of(hostile.model, body_of(hostile.model, {})))
    on_paper(found)
    pieces = (box.text for page in found.pages for box in letters(page._page_box))
    whole = "".join(pieces).replace("\u200b", "")
    assert LONG in whole
    assert "alert(1)" in whole
    assert len(found.pages) < 20


def test_a_missing_weasyprint_or_pango_is_said_with_what_to_do(tmp_path: Path) -> None:
    """As a process in which WeasyPrint cannot be imported, for each of the two reasons."""
    for error, advice in (
        ("ModuleNotFoundError('weasyprint')", "pip install 'sloguard[pdf]'"),
        ("OSError('cannot load library')", "apt-get install libpango-1.0-0"),
    ):
        (tmp_path / "weasyprint.py").write_text(f"raise {error}\n")
        code = "import sys; sys.path.insert(0, sys.argv[1]); from sloguard.render.report import pdf; pdf.pdf_of('<p>')"
        ran = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 1
        assert "NotInstalled" in ran.stderr
        assert advice in ran.stderr


def test_what_people_noted_in_the_week_is_told(model: Any) -> None:
    seen = {"at": "2026-11-16T12:00:00Z", "by": "ada", "run": "r1", "title": "A <b>", "text": "p99 *odd*"}  # fmt: skip
    text = markdown_of({**model, "observations": [seen]})
    assert "## Observations" in text
    assert "p99 \\*odd\\*" in text
    assert "## Observations" not in markdown_of(model)
    # One of an older version has none.
    assert markdown_of({k: v for k, v in model.items() if k != "observations"})
