"""What the service refuses, as problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sloguard.documents.problems import Problem as FileProblem
from sloguard.ports.service import KeyReused, QueueFull, WindowNotFound, WindowOver
from sloguard.service.catalogue import NotUsable, UnknownExperiment
from sloguard.web.problems import Problem


@contextmanager
def refusals() -> Iterator[None]:
    """Around a call into the service's desks."""
    try:
        yield
    except UnknownExperiment as error:
        raise Problem("unknown-experiment", str(error)) from None
    except NotUsable as error:
        shown = [finding(p) for p in error.problems]
        raise Problem("invalid-experiment", str(error), errors=shown) from None
    except KeyReused as error:
        raise Problem("idempotency-key-reused", str(error)) from None
    except QueueFull as error:
        raise Problem("queue-full", str(error), headers={"Retry-After": "30"}) from None
    except WindowNotFound as error:
        raise Problem("unknown-window", str(error)) from None
    except WindowOver as error:
        raise Problem("conflict", str(error)) from None


def finding(problem: FileProblem) -> Mapping[str, str]:
    """A problem of a file or of variables, without the file's directory."""
    line = f"{problem.line}:{problem.column}" if problem.line else ""
    expected = f"expected {problem.expected}" if problem.expected else ""
    return {
        "at": ": ".join(part for part in (line, problem.path) if part),
        "message": "; ".join(part for part in (problem.message, expected) if part),
        "hint": problem.hint,
    }
