"""``python -m sloguard``."""

from __future__ import annotations


def main() -> None:
    """The command line's entry point."""
    from sloguard.cli.main import run

    run()


if __name__ == "__main__":
    main()
