# Everything sets itself up: a virtual environment in .venv from requirements.lock, and Debian packages
# (with root or sudo; else it says what to install).
SHELL := /bin/bash
PYTHON := .venv/bin/python
PATHS := sloguard tests benchmarks scripts

.PHONY: help demo test browse rehearse lint bench format docs docs-check dashboards lock clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## the main job on the embedded default: a shop, broken four times, judged
	@scripts/setup.sh demo
	@$(PYTHON) -m sloguard demo --charts charts

test: ## all tests: unit, property, golden, real servers, the demo end to end
	@scripts/setup.sh test
	@$(PYTHON) -m tests.support.compiled
	@$(PYTHON) -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

browse: ## the demo's experiments driven from a browser, some minutes; pictures of all pages in screenshots/
	@scripts/setup.sh test
	@SLOGUARD_BROWSE=$(CURDIR)/screenshots $(PYTHON) -m pytest tests/e2e/test_browser_demo.py

rehearse: ## tests of clusters on a double that is late, shared and behind TLS, as a real one is
	@scripts/setup.sh test
	@$(PYTHON) -m tests.fakes.kubernetes $(DOUBLE_ARGS) -- \
		$(PYTHON) -m pytest -m cluster -n 2 --dist loadfile $(PYTEST_ARGS)

lint: ## format, rules, types, import contracts
	@scripts/setup.sh lint
	@.venv/bin/ruff format --check $(PATHS)
	@.venv/bin/ruff check $(PATHS)
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: ## bring the code into shape
	@scripts/setup.sh lint
	@.venv/bin/ruff check --fix-only -q $(PATHS)
	@.venv/bin/ruff format -q $(PATHS)

bench: ## ratios: Prometheus's own time, the Chaos Toolkit, a bare Flask route (PARTS="web charts": only these)
	@scripts/setup.sh bench
	@$(PYTHON) -m benchmarks $(PARTS)

docs: ## write the generated parts of the docs
	@scripts/setup.sh lint
	@$(PYTHON) -m scripts.docs
	@$(PYTHON) -m scripts.deploy

docs-check: ## fail when the generated parts of the docs are stale
	@scripts/setup.sh lint
	@$(PYTHON) -m scripts.docs --check

dashboards: ## build Grafana's dashboards anew
	@scripts/setup.sh lint
	@$(PYTHON) -m scripts.dashboards

lock: ## pin every dependency anew
	@scripts/lock.sh

clean: ## remove what the other targets made
	@rm -rf .venv charts screenshots build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
