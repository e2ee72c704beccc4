#!/usr/bin/env bash
# Pin every dependency with its hashes, for every supported Python. Names no host.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m pip install -q uv
compile() {
  UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/uv pip compile -q --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-emit-find-links "$@" pyproject.toml
}
compile --extra postgresql --extra demo --extra parquet --extra otel --extra pdf --output-file requirements.lock
# What the tests run against is what users get.
compile --extra postgresql --extra demo --extra parquet --extra otel --extra pdf --extra drivers --group dev \
  --constraint requirements.lock --output-file requirements-dev.lock
# What the images hold: no demo, no browser.
compile --extra postgresql --extra parquet --extra otel --extra pdf --group image \
  --constraint requirements.lock --output-file deploy/requirements.lock
compile --extra postgresql --extra parquet --extra otel --extra pdf --extra drivers --group image --group image-drivers \
  --constraint requirements-dev.lock --output-file deploy/requirements-drivers.lock
