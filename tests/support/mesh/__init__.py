"""A simulated world on a cluster: services that call each other, measured as Istio, kube-state-metrics and
the Prometheus client libraries do. What their metrics say follows from the cluster's state, and from
nothing else."""
