"""``slos: [{from: …}]``: SLOs of other files take their place in an experiment, and nothing else gets in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.model import Experiment, Phases
from sloguard.spec import SpecError, load, masked, parse_slos, read, schema
from sloguard.spec.imported import fitting_lookback
from tests.spec.test_openslo_files import metric, ratio, sli, slo
from tests.support.experiments import action, experiment

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Experiment]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "slos").mkdir()
    threshold = slo("latency", indicator={"thresholdMetric": metric("max(delay_seconds)")},
                    objectives=[{"target": 0.9, "op": "lte", "value": 0.25}])  # fmt: skip
    (tmp_path / "slos" / "a.yaml").write_text(yaml.safe_dump_all([slo("errors"), threshold]))
    (tmp_path / "slos" / "b.yaml").write_text(yaml.safe_dump(slo("others")))
    (tmp_path / "slos" / "notes.txt").write_text("nothing of interest")
    return tmp_path


@pytest.fixture
def make(place: Path) -> Make:
    def making(*entries: Any, phases: Any = None, **options: Any) -> Experiment:
        document = experiment(method=[action("x")])
        document["steady-state-hypothesis"]["slos"] = list(entries)
        if phases:
            document["phases"] = phases
        (place / "x.json").write_text(json.dumps(document))
        return load(place / "x.json", environ={}, **options)

    return making


def test_a_ratio_becomes_a_pair_and_a_threshold_a_query(make: Make) -> None:
    errors, latency = make(
        {"from": "slos/a.yaml"}, phases={"before": "4m", "during": "4m", "after": "4m"}
    ).slos
    assert errors.queries == {"total": "sum(rate(all[1m]))", "bad": "sum(rate(bad[1m]))"}
    assert (errors.objective.text, errors.target, errors.period) == ("<= 0.1%", 0.999, 30 * 86400)
    assert latency.queries == {"query": "max(delay_seconds)"}
    assert (latency.objective.text, latency.target) == ("<= 0.25", 0.9)


def test_entries_choose_and_override(make: Make) -> None:
    found = make(
        {"from": "slos/*.yaml", "only": ["errors", "others"], "lookback": "30s", "weight": 2,
         "during": {"objective": "< 5%", "tolerate": "20s"}, "after": {"recover_within": 60}},
        {"from": ["slos/a.yaml"], "name": "latency", "objective": "< 1"},
        {"name": "own", "query": "up", "objective": ">= 1"},
    )  # fmt: skip
    errors, others, latency, own = found.slos
    assert [s.name for s in found.slos] == ["errors", "others", "latency", "own"]
    for one in (errors, others):
        assert one.bad == "sum(rate(bad[30s]))"
        assert (one.during.objective.text, one.during.tolerate.text) == ("< 5%", "20s")  # type: ignore[union-attr]
        assert (one.before.objective.text, one.after.recover_within, one.weight) == (
            "<= 0.1%",
            60,
            2,
        )
    assert latency.objective.text == "< 1"
    assert own.query == "up"


def test_what_is_kept_needs_no_file(make: Make, place: Path) -> None:
    found = make({"from": "slos/*.yaml", "during": {"tolerate": "10s"}})
    document = json.loads(json.dumps(masked(found)))
    for file in (place / "slos").iterdir():
        file.unlink()
    again = load(document, environ={})
    assert again.slos == found.slos
    assert "from" not in json.dumps(document["steady-state-hypothesis"]).replace("x-from", "")
    kept = document["steady-state-hypothesis"]["slos"][0]
    assert kept["x-from"] == os.path.join("slos", "a.yaml#errors")


def test_a_dollar_of_a_query_is_no_variable(make: Make, place: Path) -> None:
    query = 'label_replace(up, "a", "${name}-$1-$$", "b", "(.*)$")'
    one = slo(
        "x",
        indicator={"thresholdMetric": metric(query)},
        objectives=[{"target": 0.9, "op": "lt", "value": 1}],
    )
    (place / "slos" / "b.yaml").write_text(yaml.safe_dump(one))
    (found,) = make({"from": "slos/b.yaml"}).slos
    assert found.query == query


@pytest.mark.parametrize(
    ("spec", "objective"),
    [
        ({"objectives": [{"targetPercent": 99.95}]}, "<= 0.05%"),
        ({"budgetingMethod": "Timeslices", "objectives": [{"target": 0.99, "timeSliceTarget": 0.9, "timeSliceWindow": "1m"}]}, "<= 10%"),
        ({"budgetingMethod": "RatioTimeslices", "objectives": [{"target": 0.99, "timeSliceWindow": 5}]}, "<= 1%"),
        ({"indicator": {"ratioMetric": {"rawType": "success", "raw": metric("x")}}}, ">= 99.9%"),
        ({"indicator": {"ratioMetric": {"rawType": "failure", "raw": metric("x")}}}, "<= 0.1%"),
        ({"indicator": {"thresholdMetric": metric("histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket[{{.window}}])))")},
          "objectives": [{"target": 0.9, "op": "gt", "value": 0.25}]}, "> 0.25s"),
    ],
)  # fmt: skip
def test_objectives_say_what_was_promised(
    make: Make, place: Path, spec: Any, objective: str
) -> None:
    (place / "slos" / "b.yaml").write_text(yaml.safe_dump(slo("x", **spec)))
    (found,) = make({"from": "slos/b.yaml"}).slos
    assert found.objective.text == objective
    assert all("{{" not in query for query in found.queries.values())


def test_what_is_left_of_a_budget_of_slices_is_what_the_rules_record(
    make: Make, place: Path
) -> None:
    spec = {
        "budgetingMethod": "RatioTimeslices",
        "objectives": [{"target": 0.99, "timeSliceWindow": 5}],
    }
    (place / "slos" / "b.yaml").write_text(yaml.safe_dump_all([slo("x", **spec), slo("y")]))
    slices, events = make({"from": "slos/b.yaml"}).slos
    assert slices.budget_left is not None
    assert '(slo:period_error_budget_remaining:ratio{slo="x"})' in slices.budget_left
    assert events.budget_left is None
    (other,) = make({"from": "slos/b.yaml", "name": "y", "budget_left": "left"}).slos
    assert other.budget_left == "left"


def test_a_query_with_its_own_range_keeps_it(make: Make, place: Path) -> None:
    own = {
        "ratioMetric": {"bad": metric("sum(rate(bad[2m]))"), "total": metric("sum(rate(all[2m]))")}
    }
    (place / "slos" / "b.yaml").write_text(yaml.safe_dump(slo("x", indicator=own)))
    (found,) = make({"from": "slos/b.yaml", "lookback": "30s"}).slos
    assert found.bad == "sum(rate(bad[2m]))"


WRONG: list[tuple[Any, str]] = [
    ({"from": "slos/c.yaml"}, "no such file; did you mean"),
    ({"from": "slos/*.yml"}, "no file matches 'slos/*.yml'"),
    ({"from": "**/*.yaml"}, "'**' is not taken"),
    ({"from": "slos"}, "is not a regular file"),
    ({"from": "slos/notes.txt"}, "found the text 'nothing of interest'; expected an object with apiVersion"),
    ({"from": "${HOME}/x.yaml"}, "names a variable"),
    ({"from": []}, "the list is empty"),
    ({"from": 5}, "found 5; expected a path or a pattern"),
    ({"from": "slos/a.yaml", "name": "erors"}, "there is no SLO 'erors' in these files; expected one of errors, latency; did you mean 'errors'?"),
    ({"from": "slos/a.yaml", "name": "errors", "only": ["errors"]}, "'name' and 'only' both choose"),
    ({"from": "slos/a.yaml", "query": "up"}, "'query' belongs in the SLO file"),
    ({"from": "slos/a.yaml", "duringg": {}}, "did you mean 'during'?"),
    ({"from": "slos/a.yaml", "objective": ">= 1%"}, "objectives are upper bounds"),
    ({"from": "slos/a.yaml", "lookback": "soon"}, "'soon' is not a duration"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_wrong_is_said(make: Make, entry: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        make(entry)
    assert words in str(caught.value)


def test_two_of_one_name_are_refused(make: Make) -> None:
    with pytest.raises(SpecError, match="the name 'errors' is there twice"):
        make({"from": "slos/a.yaml"}, {"name": "errors", "query": "up", "objective": "> 0"})
    with pytest.raises(SpecError, match="the name 'errors' is there twice"):
        make({"from": "slos/a.yaml"}, {"from": "slos/*.yaml", "only": "errors"})


def test_problems_of_the_files_come_with_their_places(make: Make, place: Path) -> None:
    (place / "slos" / "c.yaml").write_text(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: x}\nspec: {}\n"
    )
    with pytest.raises(SpecError) as caught:
        make({"from": "slos/*.yaml"}, {"name": "", "query": "up", "objective": "> 0"})
    text = str(caught.value)
    assert f"{place}/slos/c.yaml:4:7: spec: 'budgetingMethod' is missing" in text
    assert "the text is empty; expected a name" in text


def test_only_the_directories_that_may_be_read_are(
    make: Make, place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "s.yaml"
    outside.write_text(yaml.safe_dump(slo("secret")))
    (place / "slos" / "link.yaml").symlink_to(outside)
    (place / "inner.yaml").symlink_to(place / "slos" / "b.yaml")
    assert make({"from": str(outside)}).slos[0].name == "secret"
    for path in (
        str(outside),
        os.path.relpath(outside, place),
        "slos/link.yaml",
        "slos/../slos/link.yaml",
    ):
        with pytest.raises(SpecError, match="outside of the directories that may be read"):
            make({"from": path}, slo_roots=[place])
    assert make({"from": "inner.yaml"}, slo_roots=[place]).slos[0].name == "others"
    with pytest.raises(SpecError, match="outside of the directories"):
        make({"from": "slos/a.yaml"}, slo_roots=[])


def test_a_document_that_is_no_file_names_none(place: Path) -> None:
    document = experiment(method=[action("x")])
    document["steady-state-hypothesis"]["slos"] = [{"from": str(place / "slos" / "a.yaml")}]
    with pytest.raises(SpecError, match="this document is no file"):
        load(document, environ={})


def test_pipes_and_loops_are_not_waited_for(make: Make, place: Path) -> None:
    os.mkfifo(place / "slos" / "pipe.yaml")
    (place / "slos" / "loop.yaml").symlink_to(place / "slos" / "loop.yaml")
    for name, words in (("pipe", "is not a regular file"), ("loop", "cannot be read")):
        with pytest.raises(SpecError, match=words):
            make({"from": f"slos/{name}.yaml"})


def test_a_pattern_that_reaches_too_far_is_refused(make: Make, place: Path) -> None:
    many = place / "many"
    many.mkdir()
    for number in range(201):
        (many / f"{number}.yaml").touch()
    with pytest.raises(SpecError, match="matches 201 files; at most 200 are read"):
        make({"from": "many/*.yaml"})


def test_sets_of_slos_and_slo_files_by_themselves(place: Path) -> None:
    (place / "set.yaml").write_text("slos: [{from: slos/a.yaml}]\n")
    assert [s.name for s in parse_slos(place / "set.yaml").slos] == ["errors", "latency"]
    assert [s.name for s in parse_slos(place / "slos" / "a.yaml").slos] == ["errors", "latency"]
    (place / "slos" / "[x].yaml").write_text(yaml.safe_dump(slo("odd")))
    assert [s.name for s in parse_slos(place / "slos" / "[x].yaml").slos] == ["odd"]
    with pytest.raises(SpecError, match="holds SLOs \\(OpenSLO\\) and no experiment"):
        load(place / "slos" / "a.yaml")
    (place / "slos" / "i.yaml").write_text(yaml.safe_dump(sli("i", ratio())))
    with pytest.raises(SpecError, match="there is no SLO in"):
        parse_slos(place / "slos" / "i.yaml")


def test_the_schema_knows_both_kinds_of_entries(make: Make) -> None:
    validator = jsonschema.Draft202012Validator(schema())

    def fits(entry: Any) -> bool:
        document = experiment(method=[action("x")])
        document["steady-state-hypothesis"]["slos"] = [entry]
        return validator.is_valid(document)

    assert fits({"from": "a.yaml", "only": ["x"], "during": {"tolerate": "5s"}})
    assert fits({"from": ["a.yaml"], "name": "x", "lookback": "30s"})
    assert not fits({"from": "a.yaml", "query": "up"})
    assert not fits({"from": "a.yaml", "name": "x", "only": ["y"]})
    assert not fits({"from": []})
    assert not fits({"only": ["x"]})


@given(
    st.builds(Phases, st.floats(0, 7200), st.floats(0, 7200), st.floats(0, 7200)), st.floats(1, 120)
)
def test_the_lookback_fits_the_phases(phases: Phases, interval: float) -> None:
    found = fitting_lookback(phases, interval)
    lengths = [length for length in (phases.before, phases.during, phases.after) if length > 0]
    shortest = min(lengths, default=300.0)
    assert 1 <= found <= max(1, shortest / 2)
    assert found == int(found)
    if shortest / 4 >= 4 * interval + 1:
        assert 4 * interval <= found + 1
        assert found <= shortest / 4


def test_a_ready_experiment_uses_the_shipped_slos() -> None:
    file = ROOT / "experiments" / "slo-files" / "replica-killed.yaml"
    found = read(file, environ={"DEMO_CHECKOUT_PIDFILE": "/tmp/x"})
    assert [str(w) for w in found.warnings] == []
    names = [one.name for one in found.experiment.slos]
    assert names == [
        "front-availability",
        "front-latency",
        "checkout-availability",
        "checkout-p99",
        "checkout-replicas",
    ]
    assert all(
        "[5s]" in query for one in found.experiment.slos[:4] for query in one.queries.values()
    )
    assert found.experiment.slos[-1].during.objective.text == ">= 2"
