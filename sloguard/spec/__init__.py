"""Experiment files into ``core.model``: read, substituted and checked, every problem at once."""

from sloguard.spec.substitution import substitute

__all__ = ["substitute"]
