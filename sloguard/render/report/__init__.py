"""Reports: of single runs, and of all runs of a week, for those who decide and for those who repair.

Stored documents go in (``rows``, ``subjects``), a model comes out (``weekly``, ``runs``): JSON, and the same
numbers for every form. ``html``, ``text`` and ``pdf`` write it. pandas, matplotlib, Jinja2 and WeasyPrint
are imported where they are used.
"""

from __future__ import annotations


class ReportError(ValueError):
    """A report cannot be made as asked: what was found, what was expected, what to do."""
