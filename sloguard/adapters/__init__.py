"""One outside system a file, behind a port each: Prometheus, the store, locks, the clock."""
