"""A function that sloguard has none of its own for."""

import os
from pathlib import Path


def delete_namespace(name: str, secrets: dict | None = None) -> None:
    """As the driver's."""
    Path(os.environ["CALLED"]).write_text(name)
