"""Experiment files into ``core.model``: read, substituted and checked, every problem at once.

``load`` gives the experiment, ``read`` the places of everything as well, ``parse_slos`` takes a file that is
just a list of SLOs too. ``schema`` is for editors, ``masked`` for whatever is kept or shown.
"""

from sloguard.documents.problems import Problem
from sloguard.spec.errors import SpecError
from sloguard.spec.loading import Loaded, load, parse_slos, read
from sloguard.spec.masking import masked
from sloguard.spec.overrides import parse_variables
from sloguard.spec.schema import schema
from sloguard.spec.substitution import substitute

__all__ = [
    "Loaded",
    "Problem",
    "SpecError",
    "load",
    "masked",
    "parse_slos",
    "parse_variables",
    "read",
    "schema",
    "substitute",
]
