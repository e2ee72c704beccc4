"""The backlog on pages and in the API: by risk, with its runs, its experiments and its problems."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.service.backlog import BacklogDesk, offered_by
from sloguard.service.catalogue import Catalogue
from sloguard.web.api.backlog import BacklogShape
from tests.support import runs as made
from tests.support.chaos_backlog import tagged
from tests.support.service import World, body_of, make_world

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
HOSTILE = "<script>alert(1)</script>\"'"
RUN = "20260101T115900-aaaaaa"
FILE = f"""\
title: What we believe
hypotheses:
- id: checkout-survives
  hypothesis: We believe that checkout survives.
  likelihood: 5
  impact: 4
  experiment: checkout.yaml
  owner: "{HOSTILE.replace('"', "")}"
  links: https://wiki.example.com/x
- {{id: nobody-tries, hypothesis: We believe in that., likelihood: 5, impact: 5, services: cart}}
- {{id: gone, hypothesis: We do not care., likelihood: 5, impact: 5, status: dropped}}
"""


class Shop:
    """A service with a backlog beside its experiments."""

    def __init__(self, directory: Path, text: str) -> None:
        self.file = directory / "experiments" / "backlog.yaml"
        self.file.parent.mkdir()
        self.file.write_text(text)
        catalogue = Catalogue([self.file.parent], environ={})
        stores: list[Store] = []

        class Late:
            """The store, once there is one."""

            def __getattr__(self, name: str) -> Any:
                return getattr(stores[0], name)

        desk = BacklogDesk(self.file, Late(), lambda: offered_by(catalogue))  # type: ignore[arg-type]  # it is one soon
        self.world: World = make_world(directory, backlog=desk)
        stores.append(self.world.store)

    def page(self, place: str = "/backlog", status: int = 200) -> str:
        answer = self.world.client.get(place, headers=BROWSER)
        assert answer.status_code == status, answer.text
        return answer.text

    def data(self, query: str = "") -> Any:
        answer = self.world.client.get(f"/api/v1/backlog{query}")
        assert answer.status_code == 200, answer.text
        BacklogShape.model_validate_json(answer.get_data())
        return body_of(answer)

    def keep(self, run: str = RUN, tags: tuple[str, ...] = ("backlog:checkout-survives",)) -> None:
        recorder = self.world.store.recorder(experiment="checkout")
        for event in tagged(made.whole(run), *tags):
            recorder.record(event)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, FILE)


def test_by_risk_with_what_to_do_next(shop: Shop) -> None:
    found = shop.data()
    assert [h["id"] for h in found["hypotheses"]] == ["nobody-tries", "checkout-survives", "gone"]
    assert found["next"] == {"mend": None, "run": "checkout-survives", "write": "nobody-tries"}
    assert found["hypotheses"][1]["experiments"][0]["href"] == "/api/v1/experiments/checkout"
    assert shop.data("?status=dropped")["hypotheses"][0]["id"] == "gone"
    text = shop.page()
    places = [text.index(f'<li id="h-{id}"') for id in ("nobody-tries", "checkout-survives", "gone")]  # fmt: skip
    assert places == sorted(places)
    assert "What we believe" in text
    assert '/experiments/checkout"' in text
    assert "nothing yet" in text


def test_a_run_answers_and_both_pages_say_so(shop: Shop) -> None:
    shop.keep()
    outcome = shop.world.store.run(RUN).outcome
    status = {"met": "confirmed", "deviated": "refuted"}[str(outcome)]
    row = shop.data(f"?status={status}")["hypotheses"][0]
    assert row["decided_by"]["href"] == f"/api/v1/runs/{RUN}"
    assert (row["status"], row["written_status"]) == (status, "open")
    assert f"/runs/{RUN}" in shop.page()
    for place in (f"/runs/{RUN}", "/experiments/checkout"):
        text = shop.page(place)
        assert "Tests the hypothesis" in text, place
        assert '/backlog#h-checkout-survives"' in text
        assert f"h-{status}" in text


def test_a_run_names_what_the_backlog_has_not(shop: Shop) -> None:
    shop.keep(tags=("backlog:unheard-of",))
    text = shop.page(f"/runs/{RUN}")
    assert "<code>unheard-of</code>" in text
    assert "/backlog#h-unheard-of" not in text


def test_it_can_be_narrowed(shop: Shop) -> None:
    assert shop.page("/backlog?q=CART").count('<li id="h-') == 1
    assert "No hypothesis fits" in shop.page("/backlog?q=zzz")
    assert "No hypothesis fits" in shop.page("/backlog?status=refuted")
    # From a narrowed page the others are on the whole one.
    assert 'href="/backlog#h-checkout-survives"' in shop.page("/backlog?q=cart")
    assert shop.page("/backlog?status=other", 422)
    assert shop.world.client.get("/api/v1/backlog?status=other").status_code == 422


def test_texts_of_others_stay_texts_and_links_lead_out_without_telling(shop: Shop) -> None:
    text = shop.page()
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    [link] = re.findall(r'<a href="https:[^>]*>', text)
    assert "noreferrer" in link
    assert str(shop.file.parent) not in text


def test_a_file_that_changes_is_noticed_and_one_that_is_wrong_is_told(shop: Shop) -> None:
    shop.file.write_text(FILE.replace("likelihood: 5", "likelihood: 9"))
    found = shop.data()
    assert len(found["problems"]) == 3
    assert found["hypotheses"] == []
    text = shop.page()
    assert "cannot be read" in text
    assert "backlog.yaml has 3 problems" in text
    assert str(shop.file.parent) not in text
    assert "There are no hypotheses yet" not in text
    shop.file.unlink()
    assert "no such file" in shop.page()
    # Runs and experiments have pages all the same.
    shop.keep()
    assert "Tests the hypothesis" in shop.page(f"/runs/{RUN}")
    assert shop.page("/experiments/checkout")


def test_it_is_no_experiment_of_the_catalogue(shop: Shop) -> None:
    assert 'href="/experiments/backlog"' not in shop.page("/experiments")


def test_ids_that_only_experiments_know_are_told(shop: Shop) -> None:
    path = shop.file.parent / "checkout.yaml"
    path.write_text(path.read_text().replace("method:", "backlog: checkout-survived\nmethod:", 1))
    [unknown] = BacklogDesk(
        shop.file, None, lambda: offered_by(Catalogue([shop.file.parent], environ={}))
    ).look().unknown  # fmt: skip
    assert unknown == ("checkout-survived", ("checkout",))


def test_without_a_backlog_it_is_empty(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    answer = world.client.get("/api/v1/backlog")
    BacklogShape.model_validate_json(answer.get_data())
    assert body_of(answer)["hypotheses"] == []
