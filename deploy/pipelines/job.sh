#!/bin/sh
# From any pipeline that has kubectl: make the Job of an overlay, wait for its end, print its log, end with its exit code
# (1 where it has none: its deadline, its node).
#   sh job.sh deploy/overlays/one-shot
set -eu
overlay=$1
job=${2:-sloguard-one-shot}
namespace=${3:-sloguard}

# A Job cannot be changed. The last one goes with its pod: what that has injected is undone first.
kubectl -n "$namespace" delete job "$job" --ignore-not-found --cascade=foreground >&2
kubectl apply -k "$overlay" >&2
# A cancelled pipeline stops the run, which undoes too.
trap 'kubectl -n "$namespace" delete job "$job" --ignore-not-found --cascade=foreground >&2; exit 130' INT TERM

while :; do
  conditions=$(kubectl -n "$namespace" get job "$job" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}')
  case " $conditions " in *' Complete '* | *' Failed '*) break ;; esac
  sleep "${INTERVAL:-5}"
done
kubectl -n "$namespace" logs "job/$job" || true
code=$(kubectl -n "$namespace" get pods -l "job-name=$job" \
  -o 'jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode}') || true
exit "${code:-1}"
