"""Settings come from flags, environment, file and defaults; what is wrong is told all at once."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.prometheus_settings import PrometheusSettings as AdapterSettings
from sloguard.engine.options import Options
from sloguard.settings import Settings, SettingsError, describe, find_file, load_settings
from sloguard.settings.groups import GROUPS, PrometheusSettings, RunSettings

HOME = {"HOME": "/home/somebody"}


def loaded(
    tmp_path: Path, text: str | None = None, environ: dict[str, str] | None = None, **flags: Any
) -> Settings:
    """Settings of a folder of their own; flags with ``__`` for the dot."""
    if text is not None:
        (tmp_path / "sloguard.yaml").write_text(text)
    named = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(environ={**HOME, **(environ or {})}, flags=named, directory=tmp_path)


def refusal(tmp_path: Path, *args: Any, **flags: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, *args, **flags)
    return str(caught.value)


def test_defaults(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.prometheus == PrometheusSettings()
    assert settings.prometheus.scrape_interval == 15
    assert settings.store.url == "/home/somebody/.local/share/sloguard/sloguard.db"
    assert settings.store.locks == Path("/home/somebody/.local/share/sloguard/locks")
    assert settings.origins == {}


def test_data_goes_where_xdg_says(tmp_path: Path) -> None:
    settings = loaded(tmp_path, environ={"XDG_DATA_HOME": "/data"})
    assert settings.store.url == "/data/sloguard/sloguard.db"


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    text = "prometheus: {deadline: 10s, retries: 1, concurrency: 3}\n"
    environ = {"SLOGUARD_PROMETHEUS_RETRIES": "2", "SLOGUARD_PROMETHEUS_CONCURRENCY": "5"}
    settings = loaded(tmp_path, text, environ, prometheus__concurrency=7, prometheus__deadline=None)
    group = settings.prometheus
    assert (group.deadline, group.retries, group.concurrency) == (10, 2, 7)
    assert group.connect_timeout == 5
    assert settings.origins == {
        "prometheus.deadline": f"{tmp_path / 'sloguard.yaml'}:1",
        "prometheus.retries": "SLOGUARD_PROMETHEUS_RETRIES",
        "prometheus.concurrency": "command line",
    }


VALUES = {
    "text": ("text", "text"),
    "flag": ("false", False),
    "whole": ("3", 3),
    "number": ("2.5", 2.5),
    "duration": ("1m30s", 90.0),
    "path": ("/etc/x", Path("/etc/x")),
    "mapping": ("A=b, C=d=e", {"A": "b", "C": "d=e"}),
    "list": ("a, b", ("a", "b")),
}
IN_A_FILE = {"mapping": "{A: b, C: d=e}", "list": "[a, b]"}
#: Read as soon as they are set, so that they have to be there.
AT_ONCE = ("password_file", "url_file")
PLAIN = [s for s in describe() if s.key not in AT_ONCE]


def fitting(setting: Any) -> tuple[str, Any]:
    """A value as it is written and as it is read, within what is allowed."""
    if setting.kind == "choice":
        return setting.choices[-1], setting.choices[-1]
    written, value = VALUES[setting.kind]
    if setting.kind in ("whole", "number", "duration"):
        if setting.least is not None and value < setting.least:
            return str(setting.least), setting.least
        if setting.most is not None and value > setting.most:
            return str(setting.most), setting.most
    return written, value


@pytest.mark.parametrize("setting", PLAIN, ids=lambda s: s.name)
def test_every_setting_can_be_set_in_every_way(tmp_path: Path, setting: Any) -> None:
    written, value = fitting(setting)
    name, key = setting.group, setting.key
    ways = [
        loaded(tmp_path, environ={setting.env: written}),
        load_settings(environ=HOME, flags={setting.name: written}, directory=tmp_path),
        loaded(
            tmp_path,
            f"{name}: {{{key}: {IN_A_FILE.get(setting.kind, written)}}}\n",
        ),
    ]
    assert [getattr(getattr(way, name), key) for way in ways] == [value] * 3


def test_the_description_is_whole() -> None:
    described = {setting.name: setting for setting in describe()}
    fields = {f"{g}.{f.name}" for g, kind in GROUPS.items() for f in dataclasses.fields(kind)}
    assert set(described) == fields
    assert all(setting.doc.endswith(".") for setting in described.values())
    assert len({setting.env for setting in described.values()}) == len(described)
    retries = described["prometheus.retries"]
    assert (retries.env, retries.default, retries.expected) == (
        "SLOGUARD_PROMETHEUS_RETRIES",
        "4",
        "a whole number, at least 0",
    )
    assert described["prometheus.deadline"].default == "30s"
    assert described["store.url"].default == "$XDG_DATA_HOME/sloguard/sloguard.db"


def test_settings_and_those_who_take_them_agree() -> None:
    ours = {f.name for f in dataclasses.fields(PrometheusSettings)}
    theirs = {f.name: f for f in dataclasses.fields(AdapterSettings)}
    # A secret's file is read here; the interval is the engine's.
    assert ours - set(theirs) == {"password_file", "scrape_interval"}
    for field in dataclasses.fields(PrometheusSettings):
        if field.name in theirs and field.default is not dataclasses.MISSING:
            assert field.default == theirs[field.name].default, field.name
    options = {f.name: f.default for f in dataclasses.fields(Options)}
    runs = {f.name: f.default for f in dataclasses.fields(RunSettings)}
    assert runs.items() <= options.items()


def test_everything_that_is_wrong_is_told_at_once_with_its_source(tmp_path: Path) -> None:
    text = (
        "prometheus:\n  deadline: soon\n  retires: 3\n  concurrency: 99\n  compression: gizp\n  headers: [a]\n"
        "store: here\nprometeus: {}\nx-own: 1\ncharts:\n"
    )
    environ = {"SLOGUARD_RUNS_TICK": "0", "SLOGUARD_RUNS_TOCK": "1", "SLOGUARD_PROMETHUES_URL": "x"}
    told = refusal(tmp_path, text, environ, charts__theme="drak")
    file = tmp_path / "sloguard.yaml"
    for words in (
        f"{file}:2:3: prometheus.deadline: found 'soon'; expected a duration such as 30s, or a number "
        "of seconds, above 0",
        f"{file}:3:3: prometheus.retires: unknown setting 'retires'",
        "did you mean 'retries'?",
        "found 99; expected a whole number, at least 1 and at most 19",
        "found 'gizp'; expected one of auto, gzip, identity; did you mean 'gzip'?",
        f"{file}:6:3: prometheus.headers: its value does not fit",
        f"{file}:7:1: 'store' is the text 'here'; expected a mapping of settings",
        f"{file}:8:1: unknown group 'prometeus'",
        "SLOGUARD_RUNS_TICK: runs.tick: found 0; expected",
        "SLOGUARD_RUNS_TOCK: unknown setting",
        "SLOGUARD_PROMETHUES_URL: unknown setting",
        "command line: charts.theme: found 'drak'; expected one of light, dark; did you mean 'dark'?",
    ):
        assert words in told
    assert len(told.splitlines()) == 11


@pytest.mark.parametrize(
    ("env", "near"),
    [
        ("SLOGUARD_PROMETHUES_URL", "SLOGUARD_PROMETHEUS_URL"),
        ("SLOGUARD_STORE_ULR", "SLOGUARD_STORE_URL"),
    ],
)
def test_a_misspelt_variable_names_the_nearest(tmp_path: Path, env: str, near: str) -> None:
    assert refusal(tmp_path, None, {env: "x"}) == f"{env}: unknown setting; did you mean '{near}'?"


def test_variables_of_others_and_empty_ones_are_left_alone(tmp_path: Path) -> None:
    environ = {"SLOGUARD_RUN": "abc", "SLOGUARD_DEBUG": "1", "SLOGUARD_PROMETHEUS_RETRIES": ""}
    assert loaded(tmp_path, None, environ).prometheus.retries == 4


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cr3t\n")
    settings = loaded(
        tmp_path,
        f"prometheus: {{username: me, password_file: {secret}}}\nstore: {{url_file: {secret}}}\n",
    )
    assert settings.prometheus.password == "s3cr3t"
    assert settings.store.url == "s3cr3t"
    assert settings.origins["prometheus.password"] == str(secret)


def test_between_a_secret_and_its_file_the_stronger_source_wins(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-file")
    named = f"prometheus: {{password_file: {secret}, token_file: {secret}}}\n"
    environ = {"SLOGUARD_PROMETHEUS_PASSWORD": "direct", "SLOGUARD_PROMETHEUS_TOKEN": "direct"}
    group = loaded(tmp_path, named, environ).prometheus
    assert (group.password, group.password_file, group.token, group.token_file) == (
        "direct",
        None,
        "direct",
        None,
    )
    environ = {"SLOGUARD_PROMETHEUS_TOKEN_FILE": str(secret)}
    group = loaded(tmp_path, "prometheus: {token: weaker}\n", environ).prometheus
    assert (group.token, group.token_file) == ("", secret)


def test_a_secret_and_its_file_from_one_source_are_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, "prometheus: {password: a-secret, password_file: /x}\n")
    assert "prometheus.password is set as well; expected one of the two" in told
    assert "a-secret" not in told


def test_a_secrets_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    told = refusal(tmp_path, "prometheus: {password_file: /no/such/file}\n")
    assert "/no/such/file: prometheus.password_file: no such file" in told


def test_secrets_stay_out_of_sight(tmp_path: Path) -> None:
    environ = {
        "SLOGUARD_PROMETHEUS_PASSWORD": "s3cr3t",
        "SLOGUARD_PROMETHEUS_URL": "http://me:s3cr3t@host/",
        "SLOGUARD_PROMETHEUS_HEADERS": "X-Key=s3cr3t",
        "SLOGUARD_STORE_URL": "postgresql://me:s3cr3t@host/db",
    }
    assert "s3cr3t" not in repr(loaded(tmp_path, None, environ))
    assert "s3cr3t" not in refusal(tmp_path, None, {"SLOGUARD_PROMETHEUS_HEADERS": "s3cr3t"})


def test_the_file_is_found_in_order(tmp_path: Path) -> None:
    here, home = tmp_path / "here", tmp_path / "home" / "sloguard"
    here.mkdir()
    home.mkdir(parents=True)
    environ = {"XDG_CONFIG_HOME": str(home.parent)}
    assert find_file(environ, here) is None
    (home / "sloguard.yaml").write_text("prometheus: {retries: 1}")
    assert find_file(environ, here) == home / "sloguard.yaml"
    (here / "sloguard.yml").write_text("prometheus: {retries: 2}")
    assert find_file(environ, here) == here / "sloguard.yml"
    assert find_file({**environ, "SLOGUARD_CONFIG": "/x.yaml"}, here) == Path("/x.yaml")
    flagged = tmp_path / "flag.json"
    flagged.write_text('{"prometheus": {"retries": 3}}')
    read = load_settings(flagged, environ={**HOME, "SLOGUARD_CONFIG": "/x.yaml"}, directory=here)
    assert read.prometheus.retries == 3


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    told = refusal(tmp_path, None, {"SLOGUARD_CONFIG": str(tmp_path / "no.yaml")})
    assert "no.yaml: no such file" in told


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "a: [\n", ""])
def test_a_file_that_holds_no_groups_is_refused(tmp_path: Path, text: str) -> None:
    assert str(tmp_path / "sloguard.yaml") in refusal(tmp_path, text)


def test_reading_settings_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from sloguard.settings import load_settings, describe; describe(); load_settings(environ={});"
        "heavy = {'numpy', 'yaml', 'requests', 'pandas', 'matplotlib', 'sqlalchemy', 'click', 'pydantic'};"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
