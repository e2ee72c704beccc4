#!/bin/sh
# From any pipeline that has curl and jq: order a run of the service, wait for its verdict, end with its exit code.
#   SLOGUARD=https://sloguard.example.com SLOGUARD_TOKEN=slg_… sh service.sh checkout build-1234
set -eu
experiment=$1
build=${2:-$(date +%s)}

ask() {
  curl -fsS --retry 5 --retry-connrefused -H "Authorization: Bearer $SLOGUARD_TOKEN" "$@"
}

# The key makes it safe to repeat: the same build never runs twice.
order=$(ask -X POST "$SLOGUARD/api/v1/runs" -H 'Content-Type: application/json' \
  -H "Idempotency-Key: $build" -d "{\"experiment\": \"$experiment\"}")
run=$(printf '%s' "$order" | jq -er .run)
echo "$SLOGUARD/runs/$run" >&2

# Held until it is there, five minutes at most; not there yet is 404, and asked again.
tries=12
until verdict=$(ask "$SLOGUARD/api/v1/runs/$run/verdict?wait=5m" 2>/dev/null); do
  tries=$((tries - 1))
  if [ "$tries" -eq 0 ]; then
    echo "no verdict of $run" >&2
    exit 1
  fi
  sleep 5
done
printf '%s\n' "$verdict" | jq '{outcome, reason, score}'
exit "$(printf '%s' "$verdict" | jq .exit_code)"
