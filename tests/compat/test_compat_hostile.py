"""Whatever stands in a file: ``validate`` and ``run`` end with a word and a place, never with a traceback."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sloguard.cli.main import cli

#: Files that are refused, and where: ``line:column`` of a problem.
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty.yaml": ("", "1:1"),
    "blank.yaml": ("   \n\n", "1:1"),
    "null.yaml": ("null", "1:1"),
    "list.yaml": ("- a\n- b", "1:1"),
    "text.yaml": ("just text", "1:1"),
    "number.json": ("5", "1:1"),
    "windows.yaml": ("title: t\r\ndescription: d\r\nmethod: [\r\nstray: x\r\n", "5:1"),
    "windows-key.yaml": ("title: t\r\ndescription: d\r\nmethod: []\r\nrolbacks: []\r\n", "4:1"),
    "old-mac.yaml": ("title: t\rdescription: d\rmethod: []\rrolbacks: []\r", "4:1"),
    "tab.yaml": ("title: t\n\tdescription: d\n", "2:1"),
    "deep-flow.yaml": ("title: " + "[" * 100_000, "1:107"),
    "deep-block.yaml": ("".join(" " * i + "a:\n" for i in range(1500)), "101:101"),
    "deep.json": ("[" * 100_000, "1:102"),
    "deep-objects.json": ('{"a":' * 20_000 + "1" + "}" * 20_000, "1:506"),
    "itself.yaml": ("title: &t [*t]\n", "1:12"),
    "nobody.yaml": ("title: *nope\n", "1:8"),
    "merged-into-itself.yaml": ("&a\ntitle: t\n<<: *a\n", "3:5"),
    "twice.yaml": ("title: a\ntitle: b\ndescription: d\nmethod: []\n", "2:1"),
    "twice.json": ('{"title": "a",\n "title": "b"}', "2:2"),
    "dangerous.yaml": ('title: t\nmethod: !!python/object/apply:os.system ["id"]\n', "2:9"),
    "keys.yaml": ("title: t\n? [a, b]\n: c\n", "2:3"),
    "documents.yaml": ("title: a\n---\ntitle: b\n", "2:1"),
    "version.yaml": ("%YAML 9.9\n---\ntitle: t\n", "1:1"),
    "digits.yaml": ("title: t\nphases: {before: " + "9" * 5000 + "}\n", "2:18"),
    "digits.json": ('{"title": 1' + "0" * 5000 + "}", "1:11"),
    "forever.yaml": (
        "title: t\ndescription: d\nmethod: []\nphases: {after: 101d, before: 99999999d}\n",
        "4:31",
    ),
    "endless.json": (
        '{"title":"t","description":"d","method":[],"phases":{"after":1e999}}',
        "1:62",
    ),
    "nan.json": ('{"title": NaN}', "1:11"),
    "surrogate.json": ('{"title": "\\ud800"}', "1:11"),
    "control.json": ('{"title":"a\x01b"}', "1:12"),
    "control.yaml": ("title: a\x01b\n", "1:9"),
    "bytes.yaml": (b"title: t\ndescription: \xff\xfe\n", "2:14"),
    "utf-16.yaml": ("title: t".encode("utf-16"), "1:1"),
    "comment.json": ('{// x\n"title":"t"}', "1:2"),
    "single.json": ("{'title':'t'}", "1:2"),
    "unclosed.yaml": ('title: "abc\n', "2:1"),
    "nothing.yaml": ("title: t\ndescription: d\nmethod:\n", "3:8"),
    "nothings.yaml": ("title: t\ndescription: d\nmethod:\n- null\n- []\n- {}\n- x\n", "4:3"),
    "names.yaml": (
        "title: t\ndescription: d\nmethod: []\ncontrols:\n- {ref: a}\n"
        "- {name: [x], provider: {type: python, module: json}}\n",
        "5:9",
    ),
    "round.yaml": (
        "title: t\ndescription: d\nmethod:\n- {name: q, ref: r}\n- {name: r, ref: q}\n",
        "4:18",
    ),
}


def said(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and everything that was said; raises what nobody expected."""
    ran = CliRunner().invoke(cli, [str(a) for a in arguments])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.exit_code, ran.output


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.syspath_prepend(Path(__file__).parent / "corpus")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    text, place = REFUSED[name]
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    code, told = said("validate", name)
    assert code == 2
    assert any(line.startswith(f"{name}:{place}: ") for line in told.splitlines()), told
    assert "Node(" not in told
    assert said("run", "--store", tmp_path / "s.db", name)[0] == 2


@pytest.mark.parametrize(
    "text",
    [
        "\ufefftitle: t\ndescription: d\nmethod: []\n",
        "title: t\r\ndescription: d\r\nmethod: []\r\n",
        "title: 2026-01-01\ndescription: 2026-99-99\nmethod: []\n",
        'title: "a\\0b"\ndescription: "\\e[31m"\nmethod: []\n',
        "title: &a t\ndescription: &a d\nmethod: []\nx-own: *a\n",
        "title: t\ndescription: d\nmethod: []\n" + "".join(
            f"{key}:\n" for key in ("tags", "configuration", "secrets", "steady-state-hypothesis",
                                    "rollbacks", "controls", "runtime", "extensions", "contributions")
        ),
    ],
    ids=["byte-order-mark", "windows", "dates", "controls", "anchors", "empty sections"],
)  # fmt: skip
def test_what_is_odd_and_can_be_meant_is_read(text: str, tmp_path: Path) -> None:
    Path("odd.yaml").write_text(text, "utf-8", newline="")
    code, told = said("validate", "odd.yaml")
    assert code == 0, told
    assert said("run", "--store", tmp_path / "s.db", "odd.yaml")[0] == 11


def test_texts_of_others_do_not_reach_the_terminal_as_they_are(tmp_path: Path) -> None:
    Path("red.yaml").write_text(
        'title: "\\e]0;owned\\a\\u202eback"\ndescription: d\nsteady-state-hypothesis:\n  title: h\n  probes:\n'
        '  - {type: probe, name: "a\\nb", tolerance: 0, provider: {type: process, path: "true"}}\n'
        "method:\n- type: action\n  name: say\n"
        "  provider: {type: process, path: sh, arguments: ['-c', 'printf \"\\033[31mred\" >&2; exit 3']}\n"
    )  # fmt: skip
    code, told = said("run", "--store", tmp_path / "s.db", "red.yaml")
    assert code == 11
    assert "\x1b" not in told
    assert "\u202e" not in told
    for shown in (r"\x1b]0;owned\x07\u202eback", r"a\nb", r"\x1b[31mred"):
        assert shown in told


# One odd value at every place of an experiment.

_deep: Any = 1
for _ in range(40):
    _deep = {"a": _deep}
ODD: list[Any] = [
    None, 0, -1, 1.5, 1e308, -1e308, 10**40, 10**400, -(10**400), True, False, "", " ", "\n", "x" * 5000,
    "${x}", "${", "$", "${a}", "\u202e\x00\x1b", "\U0001f600", "\x85\u2028", "1:30", "null", "~", "{{}}",
    "%", [], {}, [None], [[]], [{}], {"": None}, {"a": {}}, {"type": "env"}, {"type": "probe"}, {"type": []},
    {"ref": "x"}, {"ref": ""}, {"ref": None}, {"name": None}, [1, 2, 3], _deep, {"x-y": 1},
    {"type": "python", "module": "os", "func": "getcwd"},
]  # fmt: skip


def _function(function: str, /, **arguments: Any) -> dict[str, Any]:
    return {
        "type": "python",
        "module": "compat_functions",
        "func": function,
        "arguments": arguments,
    }


WHOLE: dict[str, Any] = {
    "title": "t", "description": "d", "tags": ["a"],
    "configuration": {
        "c": 1, "e": {"type": "env", "key": "PATH", "default": "x", "env_var_type": "str"},
        "p": {"type": "probe", "name": "n", "provider": {"type": "process", "path": "echo", "arguments": ["x"]}},
    },
    "secrets": {"g": {"k": "a-secret-value", "e": {"type": "env", "key": "PATH"}}},
    "controls": [{"name": "c", "provider": {"type": "python", "module": "compat_controls", "arguments": {"label": "x"}}}],
    "extensions": [{"name": "x"}], "contributions": {"a": "high"},
    "runtime": {"hypothesis": {"strategy": "default"}, "rollbacks": {"strategy": "always"}},
    "phases": {"before": 0, "during": 0, "after": 0},
    "abort-when": [],
    "steady-state-hypothesis": {"title": "h", "slos": [], "probes": [
        {"type": "probe", "name": "p", "tolerance": 1, "pauses": {"before": 0}, "provider": _function("echo", value=1)},
        {"type": "probe", "name": "q", "provider": {**_function("anything", a=1), "secrets": ["g"]},
         "tolerance": {"type": "jsonpath", "path": "$.a", "expect": 1, "count": 1, "target": "x"}},
        {"type": "probe", "name": "r", "tolerance": {"type": "range", "range": [0, 2], "target": "status"},
         "provider": {"type": "process", "path": "true", "arguments": "", "timeout": 2}},
        {"type": "probe", "name": "s", "tolerance": {"type": "regex", "pattern": "a", "target": "stdout"},
         "provider": {"type": "process", "path": "echo", "arguments": ["a"]}},
        {"type": "probe", "name": "t", "tolerance": {"type": "probe", "name": "u", "provider": _function("says", answer=1)},
         "provider": _function("echo", value=1)},
    ]},
    "method": [
        {"type": "action", "name": "a", "background": True, "pauses": {"before": 0, "after": 0},
         "controls": [{"name": "d", "scope": "before", "automatic": True, "provider": {"type": "python", "module": "compat_controls"}}],
         "provider": _function("note", name="${c}")},
        {"ref": "p"},
        {"type": "probe", "name": "h", "provider": {
            "type": "http", "url": "http://127.0.0.1:9", "method": "GET", "headers": {"a": "b"},
            "arguments": {"x": 1}, "timeout": [1, 1], "verify_tls": True, "max_retries": 0}},
    ],
    "rollbacks": [{"type": "action", "name": "b", "provider": {"type": "process", "path": "true", "arguments": {"-a": ""}}}],
}  # fmt: skip


def _ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, child in children:
        yield from _ways(child, (*way, step))


def _with(way: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(WHOLE)
    holder: Any = made
    for step in way[:-1]:
        holder = holder[step]
    holder[way[-1]] = value
    return made


def _sample(size: int, seed: int) -> list[tuple[tuple[Any, ...], Any]]:
    every = [(way, value) for way in _ways(WHOLE) for value in ODD]
    return random.Random(seed).sample(every, size)


def _told_with_places(told: str) -> bool:
    own = re.compile(r"x\.json(:\d+:\d+)?: ")
    return all(own.match(line) for line in told.splitlines())


def test_the_experiment_is_fine_as_it_is(tmp_path: Path) -> None:
    Path("x.json").write_text(json.dumps(WHOLE))
    assert said("validate", "x.json") == (0, "x.json: ok\n")
    code, told = said("run", "--store", tmp_path / "s.db", "x.json")
    assert code == 0, told


def test_one_odd_value_is_read_or_refused_with_its_place() -> None:
    for way, value in _sample(700, 1):
        Path("x.json").write_text(json.dumps(_with(way, value)))
        code, told = said("validate", "x.json")
        assert code in (0, 2), (way, value)
        assert _told_with_places(told), (way, value, told)


def test_a_run_with_one_odd_value_ends_with_an_outcome_and_a_journal(tmp_path: Path) -> None:
    tried = 0
    for way, value in _sample(700, 2):
        if tried == 40:
            return
        Path("x.json").write_text(json.dumps(_with(way, value)))
        if said("validate", "x.json")[0] == 2:
            continue
        tried += 1
        journal = tmp_path / "journal.json"
        journal.unlink(missing_ok=True)
        code, told = said("run", "--store", tmp_path / "s.db", "--journal-path", journal, "x.json")
        assert code in (0, 2, 10, 11, 12, 13, 14), (way, value, told)
        assert "Traceback" not in told, (way, value)
        if code != 2:
            json.loads(journal.read_text("utf-8"), parse_constant=pytest.fail)
    pytest.fail("too few of them were read")
