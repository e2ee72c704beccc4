"""Service levels as rules of Prometheus: recorded SLIs, burn-rate alerts, and unit tests of both for promtool.

The doors: ``files.rule_file``, ``files.prometheus_rule``, ``unit_tests.unit_test_files``, ``groups.rules_of``.
"""
