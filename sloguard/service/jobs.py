"""Requests for work, checked against the catalogue and put into the queue."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sloguard.core.model import Json
from sloguard.ports.service import Job, JobRequest, Jobs
from sloguard.service.catalogue import Catalogue, Entry, NotUsable, usable
from sloguard.spec import SpecError, parse_slos

#: A repeatable choice needs no more, and every database can keep it.
LARGEST_SEED = 2**53 - 1
MOST_TAGS = 20


class RunIds(Protocol):
    """What a store knows about the names of runs."""

    def run_id(self, run: str) -> str:
        """The whole id; raises OutsideError where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDesk:
    """Where the web pages hand in requests. ``new_id`` names runs; ``most``: how many may wait (0: any).

    ``targets``: directories whose experiments work on one target, and its name; one runs there at a time.
    """

    jobs: Jobs
    runs: RunIds
    catalogue: Catalogue
    new_id: Callable[[], str]
    most: int = 0
    targets: Mapping[str, str] = field(default_factory=dict)
    now: Callable[[], float] = time.time

    def submit_run(
        self,
        name: str,
        *,
        variables: Mapping[str, Json] | None = None,
        dry_run: bool = False,
        tags: Sequence[str] = (),
        seed: int | None = None,
        by: str = "",
        from_: str = "",
        key: str = "",
    ) -> tuple[Job, bool]:
        """A run, or a dry run, of an experiment of the catalogue. False: the key was known.

        Raises UnknownExperiment, NotUsable, KeyReused, QueueFull.
        """
        entry = self.catalogue.get(name)
        checked = usable(entry, variables or {})
        if seed is not None and not 0 <= seed <= LARGEST_SEED:
            raise NotUsable(f"seed: expected a whole number from 0 to {LARGEST_SEED}")
        request = JobRequest(
            id=self.new_id(),
            kind="run",
            experiment=entry.name,
            source=entry.file,
            variables=checked,
            dry_run=dry_run,
            tags=clean_tags(tags),
            seed=seed,
            requested_by=by,
            requested_from=from_,
            idempotency_key=key,
            # A plan only looks, and stands in no run's way.
            exclusive="" if dry_run else self._target_of(entry),
        )
        return self.jobs.enqueue(request, most=self.most)

    def _target_of(self, entry: Entry) -> str:
        """What no two runs may work on at once, as far as it is known before they look."""
        for directory, name in self.targets.items():
            if os.path.abspath(os.path.expanduser(directory)) == entry.directory:
                return f"target:{name}"
        return entry.name

    def submit_rejudge(
        self,
        run: str,
        *,
        slos: str = "",
        definition: Mapping[str, Json] | None = None,
        by: str = "",
        from_: str = "",
        key: str = "",
    ) -> tuple[Job, bool]:
        """Judge what a run has kept again: by a named set of SLOs, by SLOs that are sent, else by its own.

        Raises StoreError for a run that there is not, and as ``submit_run``.
        """
        origin = self.runs.run_id(run)
        payload: dict[str, Any] = {"run": origin}
        if slos:
            entry = self.catalogue.slo_set(slos)
            if not entry.valid:
                raise NotUsable(f"the set of SLOs '{slos}' cannot be used", entry.problems)
            payload["slos"] = slos
        elif definition is not None:
            try:
                parse_slos(definition, environ={})
            except SpecError as error:
                raise NotUsable("the SLOs cannot be used", error.problems) from None
            payload["definition"] = dict(definition)
        request = JobRequest(
            id=self.new_id(),
            kind="rejudge",
            payload=payload,
            requested_by=by,
            requested_from=from_,
            idempotency_key=key,
        )
        return self.jobs.enqueue(request, most=self.most)

    def abort(self, id: str, *, reason: str = "", by: str = "") -> bool:
        """Stop a job; what runs undoes what it did. False: there is none of this id, or it is over."""
        who = by or "a person"
        return self.jobs.ask_abort(id, f"{who}: {reason}" if reason else f"stopped by {who}", by)


def clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags without doubles and blanks; raises NotUsable."""
    found = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(found) > MOST_TAGS or any(len(tag) > 100 for tag in found):
        raise NotUsable(f"tags: expected at most {MOST_TAGS}, of at most 100 characters each")
    return found
