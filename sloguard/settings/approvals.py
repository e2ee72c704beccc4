"""Who has to agree before something is injected."""

from __future__ import annotations

from dataclasses import dataclass

from sloguard.settings.fields import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsSettings:
    """Approval before the first fault. An experiment can ask for it by itself too, with its key approval."""

    directories: tuple[str, ...] = setting(
        (),
        "Directories whose experiments have to be approved, whatever their files say.",
        "list",
        shown="none",
    )
    within: float = setting(
        1800.0,
        "How long a run waits for an approval, where its experiment does not say; then it is not started.",
        "duration",
        above=0,
        most=7 * 86400,
    )
    minimum: int = setting(
        1,
        "How many different people have to agree, where the experiment does not say.",
        "whole",
        least=1,
        most=20,
    )
    four_eyes: bool = setting(
        False,
        "Whether whoever started a run may not approve it. Without credentials (serve.auth off) all who come "
        "by the pages are one person.",
        "flag",
    )
