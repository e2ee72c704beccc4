"""Parsed PromQL: what a query selects, how far it looks back, what to beware of.

The room's doors: ``inspection.inspect``, ``inspection.same_metrics``, ``lookback.lookback``,
``lookback.slo_lookback``, ``lint.lint``, ``findings.CODES``.
"""
