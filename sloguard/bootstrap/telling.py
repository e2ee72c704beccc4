"""How others are told: channels, what makes messages for them, and who delivers these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sloguard.bootstrap.outside import open_store
from sloguard.bootstrap.people import approval_links

if TYPE_CHECKING:
    from sloguard.adapters.grafana_http import Grafana
    from sloguard.adapters.store import Store
    from sloguard.ports.outbox import Channel
    from sloguard.service.announcing import Announcer, Writer
    from sloguard.service.notices import Notices
    from sloguard.service.outbox import Courier
    from sloguard.settings import Settings


def writers(settings: Settings) -> list[Writer]:
    """What makes messages of a run's events, one a kind of channel that is set up. Raises OutsideError."""
    found: list[Writer] = []
    if settings.grafana.url:
        found.append(_marks(settings))
    notices = open_notices(settings)
    if notices is not None:
        found.append(notices)
    toolkit = toolkit_notifications(settings)
    if toolkit:
        from sloguard.notifiers.chaostoolkit import numbered
        from sloguard.service.toolkit_notices import ToolkitNotices

        found.append(ToolkitNotices(numbered(toolkit)))
    return found


def open_notices(settings: Settings) -> Notices | None:
    """What makes messages for people; None where no channel is set up."""
    if not settings.channels:
        return None
    from sloguard.service.notices import Notices, rule_of

    rules = [rule_of(channel) for channel in settings.channels]
    return Notices(rules, base_url=settings.serve.base_url)


def toolkit_notifications(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """The notifications of the Chaos Toolkit's settings, as far as they are to be sent."""
    group = settings.notify
    file = group.chaostoolkit_settings or Path("~/.chaostoolkit/settings.yaml").expanduser()
    if not group.chaostoolkit or not file.is_file():
        return ()
    from sloguard.notifiers.chaostoolkit import read_notifications

    return read_notifications(file)


def notifiers(settings: Settings, store: Store | None = None) -> list[Channel]:
    """The channels that tell people; without a ``store`` they have no charts and no verdicts to send."""
    found: list[Channel] = []
    if settings.channels:
        from sloguard.notifiers.base import no_picture
        from sloguard.notifiers.building import build
        from sloguard.notifiers.pictures import Pictures
        from sloguard.notifiers.reports import Reports, no_files

        pictures = no_picture if store is None else Pictures(store)
        files = no_files if store is None else Reports(store, settings.serve.base_url)
        found += [
            build(
                channel,
                illustrate=pictures,
                documents=lambda run: _document(store, run),
                attach=files,
                links=approval_links(settings, store),
            )
            for channel in settings.channels
        ]
    toolkit = toolkit_notifications(settings)
    if toolkit:
        from sloguard.notifiers.chaostoolkit import ToolkitChannel

        found += [
            ToolkitChannel(number, channel, lambda event, run: _toolkit_payload(store, event, run))
            for number, channel in enumerate(toolkit, 1)
        ]
    return found


def _document(store: Store | None, run: str) -> Mapping[str, Any] | None:
    """A run's verdict; None as long as there is none."""
    from sloguard.ports import OutsideError

    try:
        return None if store is None else store.run(run).document
    except OutsideError:
        return None


def _toolkit_payload(store: Store | None, event: str, run: str) -> Any:
    """The experiment when a run begins, its journal once it has ended; None as long as it is not kept."""
    from sloguard.ports import OutsideError
    from sloguard.render.journal import journal_of

    try:
        stored = None if store is None else store.run(run)
        if stored is None or store is None:
            return None
        if event == "run-started":
            return stored.declared
        return None if stored.ended_at is None else journal_of(stored, store.events(run))
    except OutsideError:
        return None


def tell_people(settings: Settings, event: str, *, about: str, headline: str, reason: str) -> None:
    """Have channels that ask for it by name told of a command, such as validate-failed: kept in the store,
    and delivered for a moment. Never raises: what goes wrong is logged."""
    import logging
    import time

    from sloguard.ports import OutsideError

    if not any(event in channel.events for channel in settings.channels):
        return
    notices = open_notices(settings)
    if notices is None:
        return
    try:
        store = open_store(settings)
        said = notices.said(event, time.time(), about=about, headline=headline, reason=reason)
        if store.put(list(said)):
            made = courier(settings, store)
            if made is not None:
                made.start()
                made.flush(settings.outbox.flush)
                made.stop(0.5)
    except OutsideError as error:
        logging.getLogger(__name__).warning("%s is not told: %s", event, error)


def _marks(settings: Settings) -> Writer:
    from sloguard.ports import OutsideError
    from sloguard.service.marks import Marks, phase_named, place_named

    group = settings.grafana
    try:
        return Marks(
            phases=[phase_named(name) for name in group.phases],
            places=[place_named(text) for text in group.dashboards],
            base_url=settings.serve.base_url,
            tags=group.tags,
        )
    except ValueError as error:
        raise OutsideError(str(error)) from error


def open_grafana(settings: Settings) -> Grafana:
    """The Grafana of the settings; nothing is sent yet. Raises OutsideError."""
    from sloguard.adapters.grafana_http import Grafana, GrafanaAccess
    from sloguard.ports import OutsideError

    known = {field.name for field in fields(GrafanaAccess)}
    group = settings.grafana
    given = {f.name: getattr(group, f.name) for f in fields(group) if f.name in known}
    try:
        return Grafana(GrafanaAccess(**given))
    except ValueError as error:
        raise OutsideError(str(error)) from error


def channels(settings: Settings, store: Store | None = None) -> list[Channel]:
    """Who delivers messages, as far as set up; without a ``store`` nothing of a run can be sent along.
    Raises OutsideError."""
    found: list[Channel] = notifiers(settings, store)
    if settings.grafana.url:
        from sloguard.adapters.grafana import GrafanaChannel

        tags_length = settings.grafana.tags_length
        found.append(GrafanaChannel(open_grafana(settings), tags_length=tags_length))
    return found


def announcers(
    settings: Settings, store: Store, *, told: Callable[[], object] = lambda: None
) -> Callable[..., Announcer] | None:
    """Makes consumers of runs' events that keep messages, each with the arguments of Announcer; None where
    nobody is to be told. Raises OutsideError."""
    import functools

    found = writers(settings)
    if not found:
        return None
    from sloguard.service.announcing import Announcer

    return functools.partial(Announcer, store.put, found, told=told)


def courier(settings: Settings, store: Store, *, always: bool = False) -> Courier | None:
    """What delivers messages; None where there is no channel, unless ``always``: it still tidies up.
    Raises OutsideError."""
    found = channels(settings, store)
    if not found and not always:
        return None
    from sloguard.service.outbox import Courier, Persistence

    group = settings.outbox
    persistence = Persistence(
        most=group.longest_pause, age=group.give_up_after, keep=group.keep_days * 86400.0
    )
    return Courier(store, found, persistence=persistence)
