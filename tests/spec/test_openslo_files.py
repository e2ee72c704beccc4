"""OpenSLO files: what they declare arrives, and what is wrong with them is told all at once."""

from __future__ import annotations

import contextlib
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.core.service_levels import Budgeting, Indicator
from sloguard.spec import SpecError
from sloguard.spec.openslo import Levels, looks_like_openslo, read_levels

ROOT = Path(__file__).resolve().parents[2]


def metric(query: str, **more: Any) -> dict[str, Any]:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}, **more}}


def ratio(**more: Any) -> dict[str, Any]:
    return {
        "ratioMetric": {
            "counter": True,
            "bad": metric("sum(bad)"),
            "total": metric("sum(all)"),
            **more,
        }
    }


def slo(name: str = "a", *, indicator: Any = None, **spec: Any) -> dict[str, Any]:
    made = {
        "service": "shop",
        "indicator": {"spec": ratio() if indicator is None else indicator},
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.999}],
        **spec,
    }
    present = {key: value for key, value in made.items() if value is not None}
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": name}, "spec": present}


def sli(name: str = "i", spec: Any = None) -> dict[str, Any]:
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLI",
        "metadata": {"name": name},
        "spec": spec or ratio(),
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Levels]:
    def reading(*documents: Any) -> Levels:
        file = tmp_path / "slos.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        return read_levels([file])

    return reading


def test_the_shipped_files_are_read() -> None:
    files = sorted((ROOT / "rules" / "slos").glob("*.yaml"))
    found = read_levels(files)
    assert found.warnings == ()
    assert len(found.levels) == 10
    by_name = {level.name: level for level in found.levels}
    first = by_name["checkout-availability"]
    assert (first.target, first.period, first.service) == (0.9995, 28 * 86400, "checkout")
    assert first.budget == 0.0005
    assert first.indicator.counter
    assert first.labels == {"team": "checkout"}
    slices = by_name["checkout-good-minutes"]
    assert (slices.budgeting, slices.slice_target, slices.slice_window) == (
        Budgeting.TIMESLICES,
        0.95,
        60,
    )
    replicas = by_name["checkout-replicas"]
    assert (replicas.op, replicas.value) == (">=", 3)
    assert by_name["stock-up"].indicator == Indicator(
        raw='avg(up{job="stock"})', raw_is_failure=False
    )


def test_an_indicator_may_stand_in_another_file_and_objectives_be_several(tmp_path: Path) -> None:
    objectives = [{"displayName": "Good enough", "target": 0.99}, {"targetPercent": 99.99}]
    one = slo("a", objectives=objectives, indicatorRef="i")
    del one["spec"]["indicator"]
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(one))
    (tmp_path / "b.json").write_text('{"apiVersion": "openslo/v1", "kind": "SLI", "metadata": {"name": "i"}, '
                                     '"spec": {"thresholdMetric": {"metricSource": {"spec": {"query": "x"}}}}}')  # fmt: skip
    with pytest.raises(SpecError, match="found 2 objectives; expected one, for a thresholdMetric"):
        read_levels([tmp_path / "a.yaml", tmp_path / "b.json"])
    (tmp_path / "b.json").write_text(yaml.safe_dump(sli("i")).replace("'", '"'))
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(sli("i")))
    levels = read_levels([tmp_path / "a.yaml", tmp_path / "b.yaml"]).levels
    assert [(level.name, level.slo, level.target) for level in levels] == [
        ("a-good-enough", "a", 0.99),
        ("a-2", "a", 0.9999),
    ]


def test_other_kinds_are_passed_over_and_defaults_told(read: Callable[..., Levels]) -> None:
    rest = [
        {"apiVersion": "openslo/v1", "kind": kind, "metadata": {"name": "x"}, "spec": {"any": 1}}
        for kind in ("Service", "AlertPolicy", "AlertCondition", "AlertNotificationTarget")
    ]
    found = read(slo(timeWindow=None, alertPolicies=["p"]), *rest)
    assert found.levels[0].period == 30 * 86400
    words = [str(w) for w in found.warnings]
    assert any("no timeWindow: a rolling one of 30 days" in w for w in words)
    assert any("alertPolicies: it has no effect" in w for w in words)


def test_a_ratio_of_series_that_differ_by_a_label_is_worth_a_warning(
    read: Callable[..., Levels],
) -> None:
    bare = {"ratioMetric": {"counter": True, "bad": metric('x{code="500"}'), "total": metric("x")}}
    (warning,) = read(slo(indicator=bare)).warnings
    assert "keep the label code, by which good and bad differ" in str(warning)
    assert (
        read(slo(indicator={"ratioMetric": {"bad": metric("bad"), "total": metric("x")}})).warnings
        == ()
    )


def test_a_data_source_tells_what_a_metric_is_asked_of(read: Callable[..., Levels]) -> None:
    def source(kind: str) -> dict[str, Any]:
        spec = {"type": kind, "connectionDetails": {"url": "http://x"}}
        return {
            "apiVersion": "openslo/v1",
            "kind": "DataSource",
            "metadata": {"name": "s"},
            "spec": spec,
        }

    referring = {"metricSourceRef": "s", "spec": {"query": "x"}}
    one = slo(indicator={"thresholdMetric": {"metricSource": referring}},
              objectives=[{"target": 0.9, "op": "lt", "value": 1}])  # fmt: skip
    assert read(one, source("Prometheus")).levels[0].op == "<"
    with pytest.raises(SpecError, match="the source is Datadog; expected Prometheus"):
        read(one, source("Datadog"))


WRONG = [
    (slo(objectives=[{"target": 1.0}]), "target: found 1.0"),
    (slo(objectives=[{"target": 99.9}]), "target: found 99.9; expected a share between 0 and 1"),
    (slo(objectives=[{"targetPercent": 0.999}]), "'target: 0.999' says"),
    (slo(objectives=[{"target": 0.9, "targetPercent": 90}]), "both are there; expected 'target' or"),
    (slo(objectives=[{}]), "there is no target"),
    (slo(objectives=[]), "there is no objective"),
    (slo(objectives=[{"target": 0.9, "indicatorRef": "x"}]), "composed of several indicators"),
    (slo(objectives=[{"trget": 0.9}]), "unknown key 'trget'; expected one of"),
    (slo(timeWindow=[{"duration": "1M", "isRolling": True}]), "write days: 30d"),
    (slo(timeWindow=[{"duration": "1Q"}]), "months, quarters and years differ"),
    (slo(timeWindow=[{"duration": "30"}]), "expected a duration such as 30m"),
    (slo(timeWindow=[{"duration": "30d", "isRolling": False}]), "periods that do not roll"),
    (slo(timeWindow=[{"duration": "30d", "calendar": {"timeZone": "UTC"}}]), "periods that follow the calendar"),
    (slo(timeWindow=[{"duration": "1d"}, {"duration": "2d"}]), "found 2 time windows; expected exactly one"),
    (slo(budgetingMethod="Timeslice"), "did you mean 'Timeslices'?"),
    (slo(budgetingMethod="Timeslices"), "'timeSliceTarget' is missing"),
    (slo(budgetingMethod="RatioTimeslices"), "'timeSliceWindow' is missing"),
    (slo(objectives=[{"target": 0.99999999999}]), "less than anybody can count"),
    (slo(objectives=[{"targetPercent": 99.999999999}]), "less than anybody can count"),
    (slo(timeWindow=[{"duration": "99999d"}]), "expected at most ten years"),
    (slo(budgetingMethod="RatioTimeslices", objectives=[{"target": 0.9, "timeSliceWindow": 0.001}]), "expected at least 0.5"),
    (slo(indicator={}), "there is no metric"),
    (slo(indicator={**ratio(), "thresholdMetric": metric("x")}), "both are there"),
    (slo(indicator=ratio(good=metric("x"))), "found good and bad and total"),
    (slo(indicator=ratio(rawType="failure")), "'rawType' goes with 'raw' alone"),
    (slo(indicator={"ratioMetric": {"raw": metric("x")}}), "'rawType' is missing"),
    (slo(indicator=ratio(bad=metric("sum(bad"))), "not PromQL: this '(' is never closed"),
    (slo(indicator=ratio(bad=metric("x[5m]"))), "the query answers a matrix"),
    (slo(indicator=ratio(bad=metric("x", type="Datadog"))), "the source is Datadog"),
    (slo(indicator=ratio(bad={"metricSource": {"spec": {"expr": "x"}}})), "did you mean 'query'?"),
    (slo(indicator={"thresholdMetric": metric("x")}), "'op' is missing"),
    (slo(indicatorRef="i"), "both are there; expected 'indicator' or 'indicatorRef'"),
    ({**slo(), "apiVersion": "openslo/v1alpha"}, "expected openslo/v1; its older versions are not read"),
    ({**slo(), "kind": "Slo"}, "did you mean 'SLO'?"),
    ({"kind": "SLO"}, "'apiVersion' is missing"),
    ({"slos": [{"name": "x"}]}, "an experiment's own SLOs stand under 'slos'"),
    ({**slo(), "metadata": {"name": "a b"}}, "letters, digits and"),
    ({**slo(), "metadata": {"name": "x" * 256}}, "at most 255"),
    ({**slo(), "metadata": {"name": "a", "labels": {"a": {"b": "c"}}}}, "expected a text, or a list of texts"),
    ({**slo(), "spce": {}}, "did you mean 'spec'?"),
    (["a"], "found a list; expected an object with apiVersion"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_wrong_is_said(read: Callable[..., Levels], document: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(document)
    assert words in str(caught.value)
    assert all(problem.line for problem in caught.value.problems)


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    for number, (document, _) in enumerate(WRONG):
        (tmp_path / f"{number:02}.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(SpecError) as caught:
        read_levels([*sorted(tmp_path.glob("*.yaml")), tmp_path / "nothing.yaml"])
    files = {problem.file for problem in caught.value.problems}
    assert len(files) == len(WRONG) + 1


def test_names_are_there_once(read: Callable[..., Levels]) -> None:
    with pytest.raises(SpecError, match=r"the SLO 'a' is there twice \(first in .*slos.yaml:1\)"):
        read(slo("a"), slo("a"))
    several = slo("a", objectives=[{"target": 0.9, "displayName": "x"}, {"target": 0.8}])
    with pytest.raises(SpecError, match="the name 'a-x' of an objective is taken"):
        read(slo("a-x"), several)


def test_places_are_those_of_the_second_document(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("apiVersion: openslo/v1\nkind: Service\nmetadata: {name: x}\n---\napiVersion: openslo/v1\n"
                    "kind: SLO\nmetadata:\n  nme: x\nspec: {}\n")  # fmt: skip
    with pytest.raises(SpecError) as caught:
        read_levels([file])
    assert f"{file}:8:3: metadata: unknown key 'nme'" in str(caught.value)


HOSTILE = {
    "empty": "",
    "nothing": "---\n---\n# nothing\n",
    "tabs": "\tkind: SLO",
    "loop": "a: &a [*a]",
    "bomb": "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]),
    "documents of bombs": "---\n".join(["a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"] * 200),
    "depth": "[" * 5000,
    "tag": "!!python/object/apply:os.system ['true']",
    "anchor of another document": "a: &a 1\n---\nb: *a\n",
    "merge": "apiVersion: openslo/v1\nkind: SLO\n<<: 5\n",
    "scalar": "42",
    "null": "~",
    "unprintable": "a: \x07",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_soon(tmp_path: Path, name: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(HOSTILE[name])
    began = time.process_time()
    with pytest.raises(SpecError):
        read_levels([file])
    assert time.process_time() - began < 10


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_whatever_stands_somewhere_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    document = slo()
    places = [document, document["spec"], document["metadata"], document["spec"]["objectives"][0],
              document["spec"]["timeWindow"][0], document["spec"]["indicator"]["spec"]["ratioMetric"]]  # fmt: skip
    place = data.draw(st.sampled_from(places))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(_JSON)
    file = tmp_path_factory.mktemp("x") / "x.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with contextlib.suppress(SpecError):
        for level in read_levels([file]).levels:
            assert 0 < level.target < 1


def test_openslo_is_told_from_an_experiment() -> None:
    assert looks_like_openslo(
        textwrap.dedent("""\
        # a comment
        apiVersion: "openslo/v1"
    """)
    )
    assert looks_like_openslo('{"kind": "SLO",\n "apiVersion": "openslo/v1"}')
    assert not looks_like_openslo("title: x\n  apiVersion: openslo/v1\n")
    assert not looks_like_openslo('{"title": "x", "method": [{"apiVersion": "openslo/v1"}]}')
