"""People in the loop: how a run waits for them, and the links by which they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from sloguard.adapters.store import Store
    from sloguard.core.model import Approval, Experiment
    from sloguard.service.approvals import ApprovalDesk, StoredApprovals
    from sloguard.settings import Settings


def approval_needed(settings: Settings, experiment: Experiment) -> Approval | None:
    """What has to be approved by these settings; None where only the experiment says."""
    from sloguard.service.approvals import needed

    return needed(experiment, settings.approvals.directories)


def stored_approvals(
    settings: Settings, store: Store, *, requester: str, run: str, keeps: str = ""
) -> StoredApprovals:
    """How a run waits for others. ``keeps``: what it holds meanwhile, in words."""
    from sloguard.service.approvals import StoredApprovals

    told = [f"{channel.type}:{channel.name}" for channel in settings.channels if _hears(channel)]
    ways = []
    base = settings.serve.base_url.rstrip("/")
    if base:
        ways.append(f"{base}/runs/{quote(run)}")
    if told and base:
        ways.append("a link sent to " + ", ".join(told))
    ways.append(f"'sloguard runs approve {run}'")
    return StoredApprovals(store, requester=requester, reach="by " + ", or ".join(ways) + keeps)


def _hears(channel: object) -> bool:
    events = getattr(channel, "events", ())
    return not events or "approval-asked" in events


def approval_desk(settings: Settings, store: Store) -> ApprovalDesk:
    """Where people decide."""
    from sloguard.service.approvals import ApprovalDesk

    return ApprovalDesk(store, four_eyes=settings.approvals.four_eyes)


def approval_links(settings: Settings, store: Store | None) -> Callable[[str, str, str], str]:
    """Makes the one-time link of an ask for one channel: (ask, run, channel) -> address, empty where there is no
    page to lead to. Its secret is in this address alone. Raises NothingAsked, AskOver, OutsideError."""
    base = settings.serve.base_url.rstrip("/")

    def link(ask: str, run: str, channel: str) -> str:
        if store is None or not base:
            return ""
        return f"{base}/approvals/{quote(run)}?token={store.new_link(ask, channel)}"

    return link
