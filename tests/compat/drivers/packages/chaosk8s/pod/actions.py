"""Writes down that it was called."""

import os
from pathlib import Path


def terminate_pods(
    label_selector: str | None = None,
    rand: bool = False,
    ns: str = "default",
    secrets: dict | None = None,
) -> list:
    """As the driver's."""
    Path(os.environ["CALLED"]).write_text(f"{label_selector} {rand} {ns}")
    return ["the-pod"]
