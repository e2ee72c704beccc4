"""``sloguard grafana``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloguard.cli.common import FAILED, config_option, fail, settings_from

if TYPE_CHECKING:
    from sloguard.adapters.grafana_http import Grafana
    from sloguard.settings import Settings

#: Where nobody looks: the annotation of the check stands here, for as long as the check takes.
_LONG_AGO = 86400.0


@click.group("grafana")
def command() -> None:
    """Grafana, on whose dashboards chaos windows are marked."""


@command.command("check")
@click.option("--read-only", is_flag=True, help="Make no annotation, not even for a moment.")
@config_option
def check(read_only: bool, config: Path | None) -> None:
    """Ask Grafana whether everything is there that marking chaos windows needs.

    Looks for the server, the organisation and the dashboards of the settings, and makes, finds, changes and
    removes an annotation (of 1970, where no dashboard shows it). Ends with 0 if all is well, else with 1.
    """
    from sloguard.bootstrap import open_grafana, writers
    from sloguard.ports import OutsideError

    settings = settings_from(config)
    if not settings.grafana.url:
        fail("grafana.url is not set: nothing is marked in Grafana")
    try:
        writers(settings)
        grafana = open_grafana(settings)
    except OutsideError as error:
        fail(str(error))
    fine = True
    for ok, said in _checks(grafana, settings, read_only=read_only):
        click.echo(f"{_MARKS[ok]} {said}")
        fine = fine and ok is not False
    sys.exit(0 if fine else FAILED)


_MARKS = {True: "✓", False: "✗", None: "!"}


def _checks(
    grafana: Grafana, settings: Settings, *, read_only: bool
) -> Iterator[tuple[bool | None, str]]:
    """(well, in words); None: worth knowing, and no harm."""
    from sloguard.adapters.grafana_http import GrafanaError
    from sloguard.service.marks import place_named

    try:
        version = grafana.version()
    except GrafanaError as error:
        yield False, str(error)
        return
    yield True, f"{grafana.where} is there{f', version {version}' if version else ''}"
    try:
        yield True, f"organisation: {grafana.organisation()}"
    except GrafanaError as error:
        if error.status != 403:
            yield False, str(error)
            return
        yield None, "the organisation's name may not be read; that is not needed"
    for text in settings.grafana.dashboards:
        uid = place_named(text).dashboard or ""
        try:
            yield True, f"dashboard {uid}: {grafana.dashboard(uid)}"
        except GrafanaError as error:
            yield False, f"dashboard {uid}: {error}"
    if not read_only:
        yield from _tried(grafana)


def _tried(grafana: Grafana) -> Iterator[tuple[bool | None, str]]:
    """An annotation made, found, changed and removed."""
    import secrets

    from sloguard.adapters.grafana_http import GrafanaError

    tag = f"sloguard-check:{secrets.token_hex(6)}"
    at = {"time": round(_LONG_AGO * 1000), "timeEnd": round(_LONG_AGO * 1000) + 1000}
    body = {**at, "tags": ["sloguard-check", tag], "text": "a check by sloguard"}
    try:
        number = grafana.add(body)
    except GrafanaError as error:
        yield False, f"annotations cannot be made: {error}"
        return
    yield True, "annotations can be made"
    try:
        found = grafana.find([tag], _LONG_AGO - 60.0, _LONG_AGO + 60.0)
        well = number in found
        yield well, "annotations are found again" if well else "its annotation is not found again"
    except GrafanaError as error:
        yield False, f"annotations cannot be found again: {error}"
    try:
        grafana.patch(number, {"text": "a check by sloguard, done"})
        yield True, "annotations can be changed"
    except GrafanaError as error:
        yield False, f"annotations cannot be changed: {error}"
    try:
        grafana.delete(number)
        yield True, "annotations can be removed"
    except GrafanaError as error:
        why = "needed only where one was made twice; that of this check, of 1970, stays"
        yield None, f"annotations cannot be removed ({why}): {error}"
