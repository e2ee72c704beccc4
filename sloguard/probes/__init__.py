"""Probes on a cluster, under the names that users of the Chaos Toolkit know: they look and return a value."""
