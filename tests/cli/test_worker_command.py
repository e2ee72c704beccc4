"""How workers end: what a cluster is told of its Jobs."""

from __future__ import annotations

import pytest

from sloguard.cli.worker import code_of_job
from sloguard.core.model import EXIT_CODES, EXIT_FAILED, EXIT_USAGE


@pytest.mark.parametrize("outcome", EXIT_CODES)
def test_a_job_does_not_fail_by_the_outcome_of_its_run(outcome) -> None:
    assert code_of_job(EXIT_CODES[outcome]) == 0


@pytest.mark.parametrize("code", [EXIT_FAILED, EXIT_USAGE])
def test_a_job_without_an_outcome_has_failed(code: int) -> None:
    assert code_of_job(code) == code
