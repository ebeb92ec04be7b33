# Two commands for newcomers: make run, make test. Python 3.11 or newer is all that is needed.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test install-clients test-clients check format bench lock clean

help: ## Show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

.venv/runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1)
	@echo "Installing what the service needs …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

.venv/development: .venv/runtime requirements/development.txt
	@echo "Installing what the tests need …"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/development.txt
	@touch $@

run: .venv/runtime ## Set up, then serve with demo data on http://127.0.0.1:8000 (PORT=… changes it)
	@DEVELOPMENT=true $(BIN)/account-management serve

test: .venv/development check ## Set up, then run everything that has to pass
	@$(BIN)/python -m pytest

install-clients: ## Install the subscription clients of npm (needs Node.js)
	@cd tests/clients && npm ci --ignore-scripts --no-audit --no-fund --loglevel error

test-clients: .venv/development install-clients ## Test subscriptions with clients of npm (needs Node.js)
	@$(BIN)/python -m pytest tests/test_clients.py

check: .venv/development ## Style, types, directions of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: .venv/development ## Format the code, write schema.graphql anew
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/account-management schema > schema.graphql

bench: .venv/development ## Measure against peers and against the limit; takes a quarter of an hour
	@$(BIN)/python -m benchmarks

lock: .venv/development ## Write requirements/ anew from pyproject.toml
	@$(PIP) install uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --group setup -o requirements/runtime.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --group setup --group dev -o requirements/development.txt

clean: ## Forget the virtual environment and the embedded database
	@rm -rf .venv .data
