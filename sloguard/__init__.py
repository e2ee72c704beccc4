"""Prometheus-driven SLO verification for chaos experiments."""

__version__ = "0.1.0"
