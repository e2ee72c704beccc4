"""``sloguard schema``."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.option("--backlog", is_flag=True, help="Of a hypothesis backlog, not of experiments.")
def command(backlog: bool) -> None:
    """Print the JSON Schema of experiment files.

    \b
    Save it and name it in the first line of an experiment; editors then complete and check:
      sloguard schema > sloguard.schema.json
      # yaml-language-server: $schema=sloguard.schema.json
    """
    from sloguard.spec import schema
    from sloguard.spec.schema import backlog_schema

    click.echo(json.dumps(backlog_schema() if backlog else schema(), indent=2))
