"""Whatever a file holds: an experiment, or problems with places. Never anything else."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sloguard.documents.files import read_document
from sloguard.spec import SpecError, masked, read
from tests.support.experiments import CORPUS, ENVIRON

KEYS = st.sampled_from(
    ["title", "description", "tags", "configuration", "secrets", "phases", "before", "during", "after",
     "steady-state-hypothesis", "slos", "probes", "name", "query", "total", "bad", "good", "objective",
     "tolerate", "recover_within", "hold", "no_data", "step", "target", "period", "method", "rollbacks",
     "type", "provider", "module", "func", "arguments", "path", "url", "timeout", "tolerance", "range",
     "pattern", "ref", "pauses", "controls", "key", "default", "env_var_type", "abort-when", "for",
     "extensions", "runtime", "strategy", "x-own", "5", "${a}"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["", "up", "< 1%", ">= baseline", "5s", "60%", "probe", "action", "env", "python", "process", "http", "range",
     "regex", "jsonpath", "vault", "${a}", "${b}", "(", "$.a", "HOME", "\x00", "é\n"]
)  # fmt: skip
SCALARS = WORDS | st.none() | st.booleans() | st.integers(-2, 10**20) | st.floats()
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


def outcome(path: Path) -> None:
    """Read it and look at what came: nothing but an experiment or SpecError may come."""
    try:
        loaded = read(path, environ=ENVIRON, slos_alone=True)
    except SpecError as error:
        told = str(error)
        if not told or not error.problems:
            raise AssertionError("a refusal without a word") from error
        return
    json.dumps(masked(loaded.experiment), allow_nan=False)
    assert all(str(warning) for warning in loaded.warnings)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS, st.sampled_from(["json", "yaml"]))
def test_random_documents(tmp_path_factory: pytest.TempPathFactory, value: Any, end: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"random.{end}"
    dump = json.dumps(value) if end == "json" else yaml.safe_dump(value, allow_unicode=True)
    path.write_text(dump, encoding="utf-8")
    outcome(path)


@given(st.binary(max_size=200), st.sampled_from(["json", "yaml"]))
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes, end: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"bytes.{end}"
    path.write_bytes(data)
    outcome(path)


@given(st.text(alphabet="a: -[]{}&*!|>'\"%@`#,?\n\t$<=~0on:5.", max_size=60))
def test_random_yaml(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.yaml"
    path.write_text(f"title: {text}", encoding="utf-8")
    outcome(path)


VALID = [p for p in sorted((CORPUS / "valid").iterdir()) if p.suffix != ".txt"]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    if isinstance(value, dict):
        for key, child in value.items():
            found += places(child, (*at, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found += places(child, (*at, index))
    return found


@given(st.sampled_from(VALID), st.integers(0, 2**32), DOCUMENTS)
def test_valid_files_with_a_part_replaced(
    tmp_path_factory: pytest.TempPathFactory, file: Path, seed: int, part: Any
) -> None:
    document = read_document(file).root.plain()
    *way, last = random.Random(seed).choice(places(document))
    holder = document
    for step in way:
        holder = holder[step]
    holder[last] = part
    path = tmp_path_factory.getbasetemp() / "replaced.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    outcome(path)


@given(
    st.sampled_from(VALID), st.integers(0, 2**32), st.sampled_from(list(" :-{}[]'\"\n\t#&*!$é\x00"))
)
def test_valid_files_with_a_character_changed(
    tmp_path_factory: pytest.TempPathFactory, file: Path, seed: int, character: str
) -> None:
    text = file.read_text(encoding="utf-8")
    at = random.Random(seed).randrange(len(text))
    path = tmp_path_factory.getbasetemp() / f"changed{file.suffix}"
    path.write_text(text[:at] + character + text[at + 1 :], encoding="utf-8")
    outcome(path)
