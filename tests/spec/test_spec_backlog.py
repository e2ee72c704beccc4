"""The backlog's file: every problem at once with its place, its schema, and statuses written into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sloguard.core.backlog import Hypothesis, Status, declared_ids
from sloguard.documents.problems import Problem
from sloguard.spec import SpecError, load, read
from sloguard.spec.backlog import backlog_beside, load_backlog, parse_backlog
from sloguard.spec.backlog_writing import Change, updated
from sloguard.spec.schema import backlog_schema

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
ENTRY: dict[str, Any] = {"id": "a", "hypothesis": "We believe it", "likelihood": 3, "impact": "high"}  # fmt: skip
SCHEMA = backlog_schema()


def problems(text: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        parse_backlog(text, "b.yaml")
    return list(caught.value.problems)


def dumped(*entries: dict[str, Any], **more: Any) -> str:
    return yaml.safe_dump({"hypotheses": list(entries), **more}, sort_keys=False)


def test_a_whole_entry() -> None:
    found = parse_backlog(
        """
title: The shop
hypotheses:
- id: replica-lost
  hypothesis: >
    We believe that nobody notices
    when a replica dies.
  title: A replica may die
  services: [front, checkout]
  likelihood: very-high
  impact: 4
  status: planned
  owner: team-shop
  experiment: [a.yaml, "b-*.yaml"]
  links: https://wiki.example.com/x
  notes: why
  last_run: 20260101T000000-a
- {id: 7, hypothesis: b, likelihood: Very Low, impact: 1, x-own: 3}
""",
        "b.yaml",
    )
    assert found.title == "The shop"
    assert found.hypotheses[0] == Hypothesis(
        id="replica-lost",
        hypothesis="We believe that nobody notices when a replica dies.",
        title="A replica may die",
        services=("front", "checkout"),
        likelihood=5,
        impact=4,
        status=Status.PLANNED,
        owner="team-shop",
        experiments=("a.yaml", "b-*.yaml"),
        links=("https://wiki.example.com/x",),
        notes="why",
        last_run="20260101T000000-a",
        line=4,
    )
    second = found.hypotheses[1]
    assert (second.id, second.likelihood, second.status, second.risk) == ("7", 1, Status.OPEN, 1)
    assert second.name == second.hypothesis


def test_every_problem_at_once_with_its_place_and_the_nearest_word() -> None:
    found = problems(
        """hypotheses:
- id: a b
  hypothesis: we believe
  likelihod: 3
  impact: hgh
  status: confirmd
  experiment: [a.yaml, 3, 'c\\d']
  links: nope
- id: z
  hypothesis: ""
  likelihood: 6
  impact: 2.5
- id: z
  hypothesis: again
  likelihood: 3
  impact: 3
  status: running
"""
    )
    told = {(p.line, p.column): str(p) for p in found}
    assert "did you mean 'a-b'?" in told[2, 7]
    assert "did you mean 'likelihood'?" in told[4, 3]
    assert "did you mean 'high'?" in told[5, 11]
    assert "did you mean 'confirmed'?" in told[6, 11]
    assert "told apart by '/'" in told[7, 27]
    assert "https://" in told[8, 10]
    assert "the text is empty" in told[10, 15]
    assert "found the number 6" in told[11, 15]
    assert "found the number 2.5" in told[12, 11]
    assert "taken in line 9" in told[13, 7]
    assert "without being written" in told[17, 11]
    assert "'likelihood' is missing" in told[2, 3]
    assert len(found) == 12
    assert all(str(p).startswith(f"b.yaml:{p.line}:{p.column}: ") for p in found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("[]", "found a list"),
        ("hypotheses: {a: 1}", "found a mapping"),
        ("hypotheses: [3]", "found the number 3"),
        ("hypothesis: []", "did you mean 'hypotheses'?"),
        ("title: [", "expected"),
        ("hypotheses: []\nhypotheses: []", "twice"),
        ("hypotheses: []\ntitle: ${x", ""),
    ],
)
def test_what_is_no_backlog_is_told(text: str, told: str) -> None:
    if told:
        assert any(told in str(p) for p in problems(text)), [str(p) for p in problems(text)]
    else:
        assert parse_backlog(text, "b.yaml").title == "${x"


def test_an_empty_one_is_one() -> None:
    assert parse_backlog("hypotheses:\n", "b.yaml").hypotheses == ()
    assert parse_backlog('{"hypotheses": []}', "b.json").hypotheses == ()


_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 7), st.text(max_size=8), st.sampled_from(["high", "open", "very_low", "https://x.example", "a-b", "low "])
)  # fmt: skip
_KEYS = ("id", "hypothesis", "title", "services", "likelihood", "impact", "status", "owner", "experiment", "links", "notes", "last_run")  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(_KEYS), st.one_of(_LEAVES, st.lists(_LEAVES, max_size=2)), max_size=12
    )
)
def test_the_reader_takes_all_that_the_schema_refuses_not_and_never_breaks(
    entry: dict[str, Any],
) -> None:
    whole = {"hypotheses": [{**ENTRY, **entry}]}
    try:
        parse_backlog(json.dumps(whole), "b.json")
    except SpecError:
        return
    # What can be read, editors do not mark as wrong.
    assert [e.message for e in Draft202012Validator(SCHEMA).iter_errors(whole)] == []


def test_the_schema_is_one_and_knows_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    check = Draft202012Validator(SCHEMA)
    shipped = yaml.safe_load((EXPERIMENTS / "backlog.yaml").read_text())
    assert list(check.iter_errors(shipped)) == []
    assert not check.is_valid({"hypotheses": [{**ENTRY, "likelihod": 3}]})
    assert not check.is_valid({"hypotheses": [{**ENTRY, "likelihood": 6}]})
    assert not check.is_valid({"hypotheses": [{**ENTRY, "status": "running"}]})


# --- the experiments' side -----------------------------------------------------------------------


def experiment(tmp_path: Path, backlog: str) -> Path:
    file = tmp_path / "e.yaml"
    file.write_text(f"title: t\ndescription: d\nbacklog: {backlog}\nmethod: []\n")
    return file


def test_an_experiment_names_its_hypotheses_and_its_runs_bear_their_tags(tmp_path: Path) -> None:
    assert load(experiment(tmp_path, "a")).tags == ("backlog:a",)
    found = load(experiment(tmp_path, "[a, b, a]\ntags: [x, backlog:b]"))
    assert found.tags == ("x", "backlog:b", "backlog:a")
    assert declared_ids(found.declared) == ("a", "b", "a")
    assert load(experiment(tmp_path, "")).tags == ()


@pytest.mark.parametrize("wrong", ["a b", "{id: a}", "[a, '']", "true"])
def test_what_is_no_id_is_told(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SpecError, match=r"e\.yaml:3:\d+: backlog"):
        load(experiment(tmp_path, wrong))


def test_a_backlog_is_no_experiment() -> None:
    with pytest.raises(SpecError, match=r"holds hypotheses and no experiment.*sloguard backlog"):
        read(EXPERIMENTS / "backlog.yaml")


def test_the_one_beside_an_experiment_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert backlog_beside(below / "e.yaml") is None
    (tmp_path / "backlog.yaml").write_text("hypotheses: []\n")
    assert backlog_beside(below / "e.yaml") == tmp_path / "backlog.yaml"


def test_the_shipped_backlog_and_the_shipped_experiments_name_each_other() -> None:
    backlog = load_backlog(EXPERIMENTS / "backlog.yaml")
    named: dict[str, set[str]] = {}
    for one in backlog.hypotheses:
        assert one.hypothesis.startswith("We believe that "), one.id
        assert one.experiments, one.id
        for file in one.experiments:
            assert (EXPERIMENTS / file).is_file(), f"{one.id}: {file}"
            named.setdefault(file, set()).add(one.id)
    files = [p for p in EXPERIMENTS.rglob("*.yaml") if p.name != "backlog.yaml"]
    assert len(files) >= 24
    for path in files:
        declared = yaml.safe_load(path.read_text())
        assert set(declared_ids(declared)) == named[str(path.relative_to(EXPERIMENTS))], path


# --- statuses written ----------------------------------------------------------------------------

WRITTEN = """\
# The shop
hypotheses:
# first
- id: a   # named so
  hypothesis: >-
    we believe
    that
  likelihood: 3
  impact: high
  # why
  status: "open"  # really

- {id: b, hypothesis: 'yes, it is', likelihood: 1, impact: 1}
-   hypothesis: x
    id: 'c'
    likelihood: low
    impact: 5
    services: [é, ü]
"""
RUN = "20260101T000000-a"
ALL = {id: Change(Status.REFUTED, RUN) for id in "abc"}


def test_only_what_changes_is_written() -> None:
    expected = (
        WRITTEN.replace('status: "open"  # really', f"status: refuted  # really\n  last_run: {RUN}")
        .replace("impact: 1}", f"impact: 1, status: refuted, last_run: {RUN}}}")
        .replace("    id: 'c'", f"    id: 'c'\n    status: refuted\n    last_run: {RUN}")
    )
    assert updated(WRITTEN, "b.yaml", ALL) == expected
    crlf = WRITTEN.replace("\n", "\r\n")
    assert updated(crlf, "b.yaml", ALL) == expected.replace("\n", "\r\n")
    # Again with other news: the same places.
    later = {"a": Change(Status.CONFIRMED, "20260102T000000-b")}
    changed = updated(expected, "b.yaml", later)
    assert changed.count("confirmed") == 1
    assert len(changed.splitlines()) == len(expected.splitlines())


def test_nothing_to_write_changes_nothing() -> None:
    assert updated(WRITTEN, "b.yaml", {}) == WRITTEN
    shipped = (EXPERIMENTS / "backlog.yaml").read_text()
    assert updated(shipped, "b.yaml", {"nobody": Change(Status.REFUTED, RUN)}) == shipped


def test_a_run_that_looks_like_a_number_stays_a_text() -> None:
    made = updated(WRITTEN, "b.yaml", {"a": Change(Status.CONFIRMED, "20260101")})
    assert 'last_run: "20260101"' in made
    assert parse_backlog(made, "b.yaml").hypotheses[0].last_run == "20260101"


@pytest.mark.parametrize(
    "text",
    [
        # The status of two, written once.
        "hypotheses:\n- {id: a, hypothesis: h, likelihood: 1, impact: 1, status: &s open}\n"
        "- {id: b, hypothesis: h, likelihood: 1, impact: 1, status: *s}\n",
        "hypotheses:\n- id: b\n  <<: &x {hypothesis: h, likelihood: 1, impact: 1, status: open}\n"
        "- {<<: *x, id: a}\n- {id: c, hypothesis: h, likelihood: 1, impact: &one 1,}\n",
    ],
)
def test_what_cannot_be_written_alone_is_either_right_or_refused(text: str) -> None:
    """Whatever it looks like: the others stay as they were."""
    refused: list[str] = []
    for id in ("a", "b", "c"):
        before = {h.id: h for h in parse_backlog(text, "b.yaml").hypotheses}
        if id not in before:
            continue
        try:
            made = updated(text, "b.yaml", {id: Change(Status.REFUTED, RUN)})
        except SpecError as error:
            refused.append(str(error))
            continue
        after = {h.id: h for h in parse_backlog(made, "b.yaml").hypotheses}
        assert after[id].status is Status.REFUTED
        assert {k: v.status for k, v in after.items() if k != id} == {
            k: v.status for k, v in before.items() if k != id
        }
    assert all("by hand" in text for text in refused)


_WORDS = st.text(alphabet="abc -#:'\"{}[],&*é\n", max_size=12)


@given(st.lists(st.tuples(_WORDS, st.booleans(), st.booleans()), min_size=1, max_size=5))
def test_whatever_people_wrote_only_the_status_changes(
    entries: list[tuple[str, bool, bool]],
) -> None:
    text = yaml.safe_dump(
        {
            "hypotheses": [
                {
                    "id": f"h{n}",
                    "hypothesis": f"x{words}x",
                    **({"status": "planned"} if has_status else {}),
                    "notes": f"n {words} n",
                    "likelihood": 2,
                    "impact": 2,
                    "services": ["a", "b"],
                }
                for n, (words, has_status, _) in enumerate(entries)
            ]
        },
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=entries[0][2],
    )
    changes = {f"h{n}": Change(Status.CONFIRMED, RUN) for n in range(0, len(entries), 2)}
    made = updated(text, "b.yaml", changes)
    before, after = yaml.safe_load(text)["hypotheses"], yaml.safe_load(made)["hypotheses"]
    for old, new in zip(before, after, strict=True):
        if old["id"] in changes:
            assert (new.pop("status"), new.pop("last_run")) == ("confirmed", RUN)
            old.pop("status", None)
        assert new == old


def test_json_is_not_written_into() -> None:
    with pytest.raises(SpecError, match="by hand"):
        updated(json.dumps({"hypotheses": [ENTRY]}), "b.json", ALL)
