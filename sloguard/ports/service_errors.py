"""What the service refuses."""

from __future__ import annotations

from sloguard.ports.base import OutsideError


class ServiceError(OutsideError):
    """A request that the service cannot accept. The text says why, and what would be accepted."""


class NoPlaceNow(ServiceError):
    """What carries jobs out cannot take this one at the moment: it is away, or full. Nothing is wrong with the job."""


class KeyReused(ServiceError):
    """An idempotency key came again with another request."""


class QueueFull(ServiceError):
    """As many jobs are waiting as may."""


class JobExists(ServiceError):
    """Another job, or a run, has this id."""


class WindowNotFound(ServiceError):
    """No window of this id."""


class WindowOver(ServiceError):
    """The window was closed before, with other marks."""


class TokenNotFound(ServiceError):
    """No token of this id."""
