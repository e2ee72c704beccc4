"""``sloguard schema``."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of experiment files.

    \b
    Save it and name it in the first line of an experiment; editors then complete and check:
      sloguard schema > sloguard.schema.json
      # yaml-language-server: $schema=sloguard.schema.json
    """
    from sloguard.spec import schema

    click.echo(json.dumps(schema(), indent=2))
