"""What must never happen to a picture: other bytes for the same run, warnings, markup, leaks, a traceback."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sloguard.core.model import Timeline
from sloguard.render.charts import chart, draw
from sloguard.render.charts.build import model_of
from sloguard.render.charts.model import AlertSpan, ChartError
from tests.support.charting import NOON, Situation, ages, one, rule, situation, slo, timeline

ODD = [
    "支払い🛒サービス",
    "שירות-קופה",
    "خدمة الدفع",
    "$x^2_{i}$ $unbalanced",
    r"\frac{a}{b} \alpha",
    '<b>&amp;"q"</b> ]]> <!--',
    "a\nb\tc\x00\u202e\ufffe",
    "\ud800 alone",
    "⠁⠂⠃",
    "👩‍💻 e\u0301",
    "",
    "x" * 500,
]


def drawn(made: Situation, **keywords: Any) -> bytes:
    return chart(made.evidence, made.result, made.timeline, **{**made.keywords, **keywords})


@pytest.fixture(scope="module")
def odd() -> Situation:
    t = ages(timeline())
    series = {
        one(service=name, pod="p"): np.where((t > 5) & (t < 50), 0.02 * i, 0.001)
        for i, name in enumerate(ODD[:8])
    }
    return situation(
        slo(during=rule("< 5%", "20s"), name="error-ratio $x$"), series, title=" ".join(ODD)
    )


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_same_run_gives_the_same_bytes(odd: Situation, format: Any, theme: Any) -> None:
    first, second = (
        hashlib.sha256(drawn(odd, format=format, theme=theme)).hexdigest() for _ in range(2)
    )
    assert first == second


def test_the_same_run_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    script = (
        "import hashlib, sys\n"
        "from tests.support.charting import *\n"
        "from sloguard.render.charts import chart\n"
        "made = situation(slo(), {one(a='b'): [0.001] * 61, one(a='支'): [0.02] * 61})\n"
        "for f in ('svg', 'png', 'pdf'):\n"
        "    print(hashlib.sha256(chart(made.evidence, made.result, made.timeline, format=f)).hexdigest())\n"
    )
    outputs = {run_python(script, PYTHONHASHSEED=seed)[0] for seed in ("1", "2")}
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 3


def run_python(script: str, **environment: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=True,
        timeout=60,
    )
    return done.stdout, done.stderr


DRAW_ONE = (
    "from tests.support.charting import *\n"
    "from sloguard.render.charts import chart\n"
    "made = situation(slo(), {one(a='b'): [0.001] * 61})\n"
    "chart(made.evidence, made.result, made.timeline, format='png')\n"
)


def test_without_a_writable_home_nothing_is_said_and_nothing_is_left_in_the_environment(
    tmp_path: Path,
) -> None:
    # A file where the home should be: not writable for root either.
    home = tmp_path / "home"
    home.write_text("")
    out, err = run_python(
        DRAW_ONE + "import os; print(os.environ.get('MPLCONFIGDIR'))",
        HOME=str(home),
        TMPDIR=str(tmp_path),
        XDG_CONFIG_HOME="",
        XDG_CACHE_HOME="",
        MPLCONFIGDIR="",
    )
    assert (out, err) == ("None\n", "")
    assert [p.name for p in tmp_path.iterdir() if p != home] == [
        f"sloguard-matplotlib-{os.getuid()}"
    ]


def test_a_users_matplotlibrc_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nlines.dash_capstyle: round\nsvg.fonttype: path\npath.sketch: 1, 100, 2\n"
        "hatch.linewidth: 9\npatch.force_edgecolor: True\n"
    )
    script = DRAW_ONE + (
        "import hashlib\n"
        "print(hashlib.sha256(chart(made.evidence, made.result, made.timeline)).hexdigest())\n"
    )
    plain = run_python(script)[0]
    assert run_python(script, MATPLOTLIBRC=str(tmp_path / "matplotlibrc"))[0] == plain


def test_pyplot_is_never_loaded_and_the_package_alone_loads_nothing_heavy() -> None:
    script = (
        "import sys, sloguard.render.charts\n"
        "print([m for m in ('numpy', 'matplotlib', 'PIL') if m in sys.modules])\n"
        + DRAW_ONE
        + "print('matplotlib.pyplot' in sys.modules)\n"
    )
    assert run_python(script)[0] == "[]\nFalse\n"


def test_pictures_from_many_threads_are_the_pictures_of_one(odd: Situation) -> None:
    jobs = [(f, t) for f in ("svg", "png") for t in ("light", "dark")] * 4
    alone = {job: drawn(odd, format=job[0], theme=job[1]) for job in jobs[:4]}
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda job: drawn(odd, format=job[0], theme=job[1]), jobs))
    assert all(picture == alone[job] for job, picture in zip(jobs, made, strict=True))


def test_settings_of_matplotlib_are_as_they_were(odd: Situation) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams.copy())
    drawn(odd)
    assert dict(matplotlib.rcParams.copy()) == before


def test_odd_texts_arrive_whole_in_svg(odd: Situation) -> None:
    text = drawn(odd).decode()
    root = ET.fromstring(text)
    texts = "\n".join(root.itertext())
    for name in ("支払い🛒サービス", "שירות-קופה", "خدمة الدفع", "$x^2_{i}$ $unbalanced"):
        assert name in texts
    names = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any("支払い🛒サービス" in name for name in names)
    # Stand-ins are gone: the only braille left is what the title itself holds.
    assert set(re.findall("[\u2800-\u28ff]", texts)) <= set("⠁⠂⠃")
    # What reverses text or breaks lines is shown, not obeyed.
    assert "a\\nb\\tc\\x00\\u202e\\ufffe" in texts
    assert "\u202e" not in "".join(names)


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
@pytest.mark.parametrize("name", ODD)
def test_any_name_is_drawn_without_a_warning(name: str, format: Any) -> None:
    made = situation(
        slo(name=name or "-"), {one(s=name): [0.02] * 61, one(s="other"): [0.001] * 61}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alerts = [AlertSpan(name, NOON, NOON + 20)]
        assert len(drawn(made, format=format, title=name, alerts=alerts)) > 4000


def test_names_without_glyphs_stay_apart_in_png() -> None:
    def picture(*names: str) -> bytes:
        series = {one(s=n): [0.001 * (i + 1)] * 61 for i, n in enumerate(names)}
        made = situation(slo(), series)
        return drawn(replace(made, result=None), format="png")

    assert picture("支", "x") != picture("払", "x")


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"format": "gif"}, "no format 'gif': there are svg, png, pdf"),
        ({"theme": "blue"}, "no theme 'blue': there are light and dark"),
        ({"size": (100, 100)}, "100x100 cannot be drawn: expected 560x340 to 6000x4000"),
        ({"size": (9999, 900)}, "9999x900 cannot be drawn"),
        ({"scale": 0.0}, "a scale of 0 cannot be drawn"),
        ({"size": (6000, 4000), "scale": 4.0}, "at most 40 million pixels"),
    ],
)
def test_what_cannot_be_drawn_is_said(odd: Situation, keywords: dict, expected: str) -> None:
    with pytest.raises(ChartError, match=re.escape(expected)):
        drawn(odd, **keywords)


@pytest.mark.parametrize("size", [(560, 340), (640, 400), (1200, 640), (2400, 1300)])
def test_nothing_stands_outside_the_sheet(odd: Situation, size: tuple[int, int]) -> None:
    for made in (odd, replace(odd, keywords={"alerts": [AlertSpan("a" * 99, NOON, None)]})):
        root = ET.fromstring(drawn(made, size=size))
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            x, y = float(text.get("x", 0)), float(text.get("y", 0))
            assert 0 <= x <= size[0], text.text
            assert 0 <= y <= size[1], text.text


def test_png_has_the_size_that_was_asked_for(odd: Situation) -> None:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(drawn(odd, format="png", size=(800, 450), scale=1.5))) as image:
        assert image.size == (1200, 675)
        assert len(image.convert("L").getcolors(256) or []) > 20


def test_long_windows_keep_their_peaks_and_stay_small() -> None:
    marks = Timeline(NOON - 3 * 86400, NOON, NOON + 3600, NOON + 4 * 86400)
    t = ages(marks, 60.0)
    values = np.full(t.size, 0.001)
    values[np.searchsorted(t, -86400)] = 0.8
    made = situation(slo(), {one(a="b"): values}, marks, step=60.0)
    raw = drawn(made)
    assert len(raw) < 200_000
    model = model_of(made.evidence, made.result, marks)
    assert model.deviation is not None
    assert "worst 80% at 14:00:00Z" in model.deviation.text


values = st.one_of(
    st.none(),
    st.floats(-1e299, 1e299),
    st.sampled_from([0.0, 1e-320, 5e-324, 1e299, np.inf, -np.inf, np.nan, 1e-9, 0.3]),
)
objectives = st.sampled_from(
    [
        "< 1%",
        "<= 300ms",
        ">= 3",
        "== 0",
        "!= 1",
        "between 40 and 60",
        "< 12GB",
        "<= 1MiB",
        "<= baseline + 50%",
        ["<= baseline + 50ms", ">= 0"],
        "between baseline - 10% and baseline + 10%",
        "< 0.0000000001",
        "< 1e300",
    ]
)


@st.composite
def situations(draw_one: Any) -> Situation:
    spans = draw_one(
        st.tuples(*[st.sampled_from([0.0, 1.0, 11.0, 60.0, 3600.0]) for _ in range(3)])
    )
    marks = timeline(*spans)
    step = max(1.0, sum(spans) / draw_one(st.integers(1, 40)))
    count = ages(marks, step).size
    names = draw_one(st.lists(st.text(max_size=12), max_size=13, unique=True))
    row = st.lists(values, min_size=count, max_size=count)
    series = {one(a=name): draw_one(row) for name in names}
    declared = slo(
        draw_one(objectives),
        pair=False,
        query=draw_one(st.sampled_from(["x", "x_seconds", "a / b"])),
        during=rule(draw_one(objectives), draw_one(st.sampled_from(["", "20s"]))),
        no_data=draw_one(st.sampled_from(["inconclusive", "breach", 0.0])),
    )
    lookback = draw_one(st.sampled_from([None, 0.0, 30.0, 1e6]))
    return situation(declared, series, marks, step=step, lookback=lookback)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    made=situations(),
    format=st.sampled_from(["svg", "svg", "png"]),
    theme=st.sampled_from(["light", "dark"]),
)
def test_any_evidence_is_drawn(made: Situation, format: Any, theme: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raw = drawn(made, format=format, theme=theme)
        if format == "svg":
            root = ET.fromstring(raw)
            for number in coordinates(root):
                assert -50 <= number <= 1250


def coordinates(root: ET.Element) -> Iterator[float]:
    """Of every line and area; infinite or lost ones would stand far outside, or not be numbers."""
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        if path.get("id") is None:
            text = re.sub("[MLQCz]", " ", path.get("d") or "")
            yield from (float(n) for n in text.split())


def test_the_largest_numbers_there_are_lie_on_the_edge() -> None:
    made = situation(slo("< 1%", pair=False), {(): [0.5] * 61})
    values = made.evidence.answers["query"].values
    values[0, 3:6] = 1.7e308, -1.7e308, 1e299
    root = ET.fromstring(drawn(replace(made, result=None)))
    assert all(-50 <= number <= 1250 for number in coordinates(root))
    parts = [g.get("data-part") for g in root.iter("{http://www.w3.org/2000/svg}g")]
    assert parts.count("beyond") == 2


def test_a_model_can_be_drawn_again(odd: Situation) -> None:
    model = model_of(odd.evidence, odd.result, odd.timeline)
    assert draw(model) == draw(model, format="svg", theme="light")
