# ChatStream: `make up` is the main job, `make test` proves it. `make help` explains every target.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PORT ?= 8443
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

##@ Use

.PHONY: up
up: $(STAMP) ## Everything: cluster, images, chart, a demo ChatStream, served at https://localhost:PORT (PORT=8443)
	@PORT=$(PORT) python3 -m devcluster up

.PHONY: down
down: ## End every process, mount, interface and rule that `make up` made (caches stay)
	@python3 -m devcluster down

.PHONY: clean
clean: ## `make down`, then delete the caches and the Python environment too
	@python3 -m devcluster clean
	@rm -rf $(VENV)

.PHONY: status
status: ## Say what of the local cluster runs
	@python3 -m devcluster status

.PHONY: dev
dev: $(STAMP) ## The server alone in the foreground: demo engine, sessions in memory, http://127.0.0.1:8080
	@$(BIN)/chatstream dev

##@ Develop

.PHONY: venv
venv: $(STAMP) ## The Python environment, from requirements/dev.txt

$(STAMP): requirements/dev.txt server/pyproject.toml operator/pyproject.toml devcluster/bootstrap.sh
	@devcluster/bootstrap.sh $(VENV)
	@touch $@

.PHONY: requirements
requirements: ## Export requirements/*.txt anew from the pyproject files
	@requirements/export.sh

.PHONY: generate
generate: $(STAMP) ## Make the generated files anew: the chart's values, its copy of the CRD, the tables in docs/
	@$(BIN)/python -m tools.generated

.PHONY: format
format: $(STAMP) ## Format and mend what ruff can mend
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

.PHONY: check
check: $(STAMP) ## Lint, format, types, layers, clauses, generated files: exactly what CI checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.generated --check
	@$(BIN)/python -m tools.repository
	@$(BIN)/python -m tools.clauses

##@ Test

.PHONY: unit
unit: $(STAMP) ## Unit tests (minutes at most; a real Redis, a real API server, no cluster)
	@python3 -m tools.prerequisites unit
	@$(BIN)/pytest -n 2 tests/server tests/fastersession tests/operator tests/chart tests/repo tests/examples tests/benchmarks

.PHONY: unit-image
unit-image: ## Unit tests again, on the images' Python, inside the image
	@python3 -m devcluster unit-image

.PHONY: test-cluster
test-cluster: $(STAMP) ## Against a real API server: the CRD, the operator, the chart
	@python3 -m tools.prerequisites unit
	@$(BIN)/pytest tests/cluster

.PHONY: test-e2e
test-e2e: up ## On the cluster of `make up`: real pods, Redis, Prometheus
	@python3 -m tools.prerequisites cluster
	@$(BIN)/pytest tests/e2e

.PHONY: test-browser
test-browser: up ## On the cluster of `make up`, with a real chromium
	@python3 -m tools.prerequisites cluster
	@$(BIN)/pytest tests/browser

.PHONY: test-newcomer
test-newcomer: $(STAMP) ## A newcomer's path from a fresh clone; repairs; ends with the cluster taken down
	@$(BIN)/pytest tests/newcomer

.PHONY: test
test: ## Everything that CI runs: check, unit, unit-image, then all of the cluster's tests
	@$(MAKE) --no-print-directory check unit unit-image test-cluster test-e2e test-browser test-newcomer

##@ Measure

.PHONY: bench-sessions
bench-sessions: $(STAMP) ## Sessions: ours, peers and the floor in one run (minutes; the peers in an environment of their own)
	@$(BIN)/python -m benchmarks.sessions $(BENCH)

##@ Help

.PHONY: help
help: ## This page
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
