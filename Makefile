# `make` lists what there is. The work is done by scripts/; nothing here asks for more than make, bash and Python 3.11 or newer.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv/bin

# The prompt reaches its script by the environment and as it was written: neither make nor a shell may read anything into it.
PROMPT ?= a red fox in snow, morning light
export DEMO_PROMPT := $(value PROMPT)
unexport PROMPT

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Make .venv with imagejobs in it; again is quick
	@scripts/setup
	@$(if $(filter setup,$(MAKECMDGOALS)),echo "ready: . .venv/bin/activate && imagejobs up")

.PHONY: up
up: setup ## Start everything: database, API, workers; Ctrl-C stops it
	@exec $(VENV)/imagejobs up

.PHONY: demo
demo: setup ## From nothing to a picture: make demo PROMPT="a red fox in snow"
	@exec $(VENV)/python scripts/demo.py

.PHONY: test
test: setup ## Every check and every test: make test, or make test ARGS=tests/unit
	@scripts/test $(ARGS)

.PHONY: check
check: setup ## Format, lint, types, import direction, generated pages
	@scripts/check

.PHONY: fix
fix: setup ## Format, and repair what can be repaired safely
	@$(VENV)/ruff format --quiet .
	@$(VENV)/ruff check --fix --quiet .

.PHONY: docs
docs: setup ## Write the generated reference pages anew
	@$(VENV)/python scripts/write_reference.py

.PHONY: bench
bench: setup ## Measure what is claimed; a figure out of bounds fails
	@scripts/bench

.PHONY: bench-smoke
bench-smoke: setup ## The same, short, to see that it runs; figures are not judged
	@scripts/bench --smoke

SECONDS_OF_SOAK ?= 1800
.PHONY: soak
soak: setup ## Load, with everything killed again and again: make soak SECONDS_OF_SOAK=180
	@scripts/install-test-tools
	@PYTHONPATH=. $(VENV)/python -m bench.soak $(SECONDS_OF_SOAK)

.PHONY: lock
lock: setup ## Resolve the dependencies anew
	@scripts/lock
