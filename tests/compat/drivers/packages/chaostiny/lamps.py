"""Lamps, written down in a file."""

from pathlib import Path


def switch(
    name: str, lit: bool = True, configuration: dict | None = None, secrets: dict | None = None
) -> dict:
    """Switch a lamp."""
    home = Path(configuration["house"])
    (home / name).write_text(f"{'on' if lit else 'off'} by {secrets['key'][:3]}")
    return {"lamp": name, "rooms": len(configuration), "groups": sorted(secrets)}


def is_on(name: str, configuration: dict | None = None) -> bool:
    """Whether it is on."""
    lamp = Path(configuration["house"], name)
    return lamp.exists() and lamp.read_text().startswith("on")
