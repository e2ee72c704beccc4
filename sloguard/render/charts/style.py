"""Colours. Okabe and Ito's palette, darkened or lightened to be read on its background.

Hue is never alone: phases differ in lightness, marks in their sign, every second series is dashed.
"""

from __future__ import annotations

from dataclasses import dataclass

from sloguard.core.model import PhaseName, Verdict

Dash = tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Style:
    """One theme."""

    background: str
    ink: str
    muted: str
    grid: str
    frame: str
    rest: str
    breach: str
    excused: str
    bound: str
    hatch: str
    phases: dict[PhaseName, str]
    series: tuple[str, ...]
    badges: dict[Verdict, tuple[str, str]]

    def curve(self, index: int) -> tuple[str, Dash, float]:
        """Colour, dashes and width of a named series; the worst one is the strongest."""
        dash = None if index < len(self.series) else (5.0, 2.0)
        return self.series[index % len(self.series)], dash, 2.0 if index == 0 else 1.4


def mixed(colour: str, with_colour: str, share: float) -> str:
    """``share`` of one colour over another, as '#rrggbb'."""
    pairs = ((int(colour[i : i + 2], 16), int(with_colour[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


SIGNS = {
    Verdict.MET: "✓",
    Verdict.DEVIATED: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_JUDGED: "–",
}

_BADGES = {
    Verdict.MET: ("#00704f", "#ffffff"),
    Verdict.DEVIATED: ("#b34700", "#ffffff"),
    Verdict.INCONCLUSIVE: ("#f0c419", "#1b1f24"),
    Verdict.NOT_JUDGED: ("#6b7580", "#ffffff"),
}

STYLES: dict[str, Style] = {
    "light": Style(
        background="#ffffff",
        ink="#1b1f24",
        muted="#59636e",
        grid="#dde2e7",
        frame="#8a949e",
        rest="#a9b2bc",
        breach="#d55e00",
        excused="#8a949e",
        bound="#a83a00",
        hatch="#9aa4ae",
        phases={
            PhaseName.BEFORE: "#f5f7f9",
            PhaseName.DURING: "#fcefd2",
            PhaseName.AFTER: "#e6f0f8",
        },
        series=("#0072b2", "#00805c", "#b0468c", "#9a6a00", "#3b3f8f"),
        badges=_BADGES,
    ),
    "dark": Style(
        background="#12161b",
        ink="#e8ebef",
        muted="#a3adb8",
        grid="#2a313a",
        frame="#6b7682",
        rest="#59636e",
        breach="#ff7a1a",
        excused="#7d8894",
        bound="#ff9d5c",
        hatch="#5d6874",
        phases={
            PhaseName.BEFORE: "#191e25",
            PhaseName.DURING: "#33290f",
            PhaseName.AFTER: "#14273a",
        },
        series=("#56b4e9", "#2fd3a5", "#e79ac6", "#f0c75a", "#b3b8ff"),
        badges=_BADGES,
    ),
}
