"""Faults, one file a family: plan, inject, undo. Callable as python providers of an experiment."""
