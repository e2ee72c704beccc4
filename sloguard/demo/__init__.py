"""The embedded default: a shop of real processes, a real Envoy, Prometheus and Alertmanager, and load.

``sloguard.demo.environment`` starts and stops it, ``sloguard.demo.tour`` tells its story.
"""
