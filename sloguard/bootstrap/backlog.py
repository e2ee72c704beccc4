"""What knows the hypothesis backlog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.service.backlog import BacklogDesk
    from sloguard.service.catalogue import Catalogue
    from sloguard.settings import Settings


def backlog_file(settings: Settings) -> Path | None:
    """The file of the settings, else the first ``backlog.yaml`` of the places where experiments are."""
    from sloguard.spec.backlog import FILE_NAMES

    if settings.backlog.file is not None:
        return settings.backlog.file
    directories = [Path(d).expanduser() for d in settings.serve.experiments]
    directories += [Path("experiments"), Path()]
    places = (directory / name for directory in directories for name in FILE_NAMES)
    return next((place for place in places if place.is_file()), None)


def backlog_desk(
    settings: Settings, store: Store | None, known: Catalogue | None = None
) -> BacklogDesk | None:
    """What works out how it stands with the hypotheses; None where there is no backlog.

    ``known``: the experiments that there are; else those below the file's directory.
    """
    from sloguard.service.backlog import BacklogDesk, offered_below, offered_by

    file = backlog_file(settings)
    if file is None:
        return None
    directory = file.expanduser().absolute().parent

    return BacklogDesk(
        file,
        store,
        (lambda: offered_below(directory)) if known is None else (lambda: offered_by(known)),
    )
