"""Reports as attachments, loaded from the store when the mail is sent: a message holds only their name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sloguard.core.reporting import StoredReport, file_name
from sloguard.notifiers.base import Notice
from sloguard.ports import OutsideError

log = logging.getLogger(__name__)

#: Mail servers take no more, and nobody reads it.
LARGEST = 8 << 20


@dataclass(frozen=True, slots=True)
class File:
    """What is attached."""

    name: str
    media: str
    content: bytes


#: Gives what belongs to a notice.
Attach = Callable[[Notice], Sequence[File]]


def no_files(_notice: Notice) -> Sequence[File]:
    """Nothing is attached."""
    return ()


class Shelf(Protocol):
    """What of the store is needed."""

    def report(self, report: str) -> StoredReport | None:
        """A report by its id."""
        ...


class Reports:
    """Gives the report that a notice tells of, as PDF; as HTML where there is nothing to make PDFs with.

    A mail without it is better than none: what fails is logged. ``base_url``: where runs are to be found.
    """

    def __init__(self, shelf: Shelf, base_url: str = "") -> None:
        self._shelf, self._base_url = shelf, base_url

    def __call__(self, notice: Notice) -> Sequence[File]:
        """One file, or none."""
        wanted = str(notice.payload.get("report") or "")
        if notice.event != "report-ready" or not wanted:
            return ()
        try:
            report = self._shelf.report(wanted)
            return () if report is None else self._files(report)
        except OutsideError as error:
            log.info("report %s is not attached: %s", wanted, error)
        except Exception:
            log.exception("report %s is not attached: this is a bug", wanted)
        return ()

    def _files(self, report: StoredReport) -> Sequence[File]:
        from sloguard.render.report.pdf import NotInstalled, pdf_of
        from sloguard.render.report.writing import page_of

        page = page_of(report.model, report.body, self._base_url)
        try:
            made = File(file_name(report, "pdf"), "application/pdf", pdf_of(page))
        except NotInstalled as error:
            log.info("report %s goes as HTML: %s", report.id, error)
            content = page.encode("utf-8", "backslashreplace")
            made = File(file_name(report, "html"), "text/html", content)
        if len(made.content) > LARGEST:
            log.warning("report %s is too large for a mail: %d bytes", report.id, len(made.content))
            return ()
        return (made,)
