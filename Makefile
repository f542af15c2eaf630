# The commands for developers and operators. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
SEED ?= 1
MINUTES ?= 10
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
BENCH_READY := $(VENV)/.bench-ready

.PHONY: help demo run up services services-stop test test-quick test-mail chaos docs picture bench bench-report check lint types format lock clean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

demo: $(RUN_READY) ## Send the example campaign to a local mail catcher, and compare what arrived with the database
	@$(BIN)/python -m admin demo

run: $(RUN_READY) ## Send, and serve the pages, with the embedded Postgres and broker, until Ctrl-C
	@$(BIN)/python -m ops.run.together

up: $(RUN_READY) ## Run all processes under a supervisor, with the configured RabbitMQ and Postgres
	@$(BIN)/python -m ops.supervise

services: $(RUN_READY) ## Start a private RabbitMQ and Postgres in var/ and print their URLs
	@$(BIN)/python -m ops.local start

services-stop: $(RUN_READY) ## Stop what `make services` started
	@$(BIN)/python -m ops.local stop

# The tests mostly wait, so more processes than cores are faster. Each starts others, which need not compile again.
PROCESSES ?= 4
PYTEST = PYTHONDONTWRITEBYTECODE= $(if $(AT),$(BIN)/python -m tests.faked "$(AT)") $(BIN)/python -m pytest -n $(PROCESSES)

test: $(DEV_READY) ## Install what the tests need, and run all of them; AT="2026-11-26 23:58" runs them at that Warsaw time
	@$(BIN)/python -m ops.local install
	@$(PYTEST) $(TESTS)

# Tests of pure rules and of rows: they start no process, and wait for no server but Postgres.
QUICK := $(addprefix tests/,actors bench chaos mail models scheduling) $(wildcard tests/test_*.py)

test-quick: $(DEV_READY) ## Run the quick tests: pure rules, and what is done to rows
	@$(BIN)/python -m ops.local install
	@$(PYTEST) -n 3 -m "not slow" $(QUICK)

test-mail: $(DEV_READY) ## Run tests/mail on each other installed Python version that is supported
	@$(BIN)/python -m tests.pythons

chaos: $(DEV_READY) ## Run Punktual for MINUTES under random faults from SEED, and compare with the mail server's log
	@$(BIN)/python -m ops.local install
	@$(BIN)/python -m tests.chaos --seed $(SEED) --minutes $(MINUTES)

QUESTION ?= all

bench: $(BENCH_READY) ## Measure a QUESTION (throughput, punctuality, import, planner, tick, pages, recovery, scaling, machines) or all
	@$(BIN)/python -m bench $(QUESTION) $(OPTIONS)

bench-report: $(BENCH_READY) ## Write the tables and the chart of docs/performance.md from the last results
	@$(BIN)/python -m bench report $(OPTIONS)

check: lint types test test-mail ## Run every check that CI runs

docs: $(RUN_READY) ## Write docs/settings.md, docs/commands.md and docs/files.md from their sources
	@$(BIN)/python -m admin.reference

picture: $(DEV_READY) ## Draw docs/today.png: simulate a day in a minute and take a screenshot of Today
	@$(BIN)/python -m tests.picture docs/today.png

lint: $(DEV_READY) ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEV_READY) ## Check types
	@$(BIN)/mypy .

format: $(DEV_READY) ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# --no-strip-extras: without the extra, pip does not match a pin with a dependency that asks for the extra.
lock: $(DEV_READY) ## Pin all dependencies, with hashes
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-strip-extras \
		--custom-compile-command "make lock" --quiet --output-file requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --group dev --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-strip-extras --custom-compile-command "make lock" --quiet --output-file requirements-dev.lock
	@$(BIN)/uv pip compile --group bench --constraint requirements-dev.lock --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-strip-extras --custom-compile-command "make lock" --quiet --output-file requirements-bench.lock

clean: ## Stop the embedded Postgres and delete all data of this checkout in var/
	@if [ -x $(BIN)/python ] && [ -d var ]; then $(BIN)/python -m ops.local clean; fi
	@rm -rf var

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Punktual needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); ops/install-venv.sh $(PYTHON) && $(PYTHON) -m venv $(VENV); }

$(RUN_READY): requirements.lock | $(BIN)/python
	@echo "installing the dependencies into $(VENV) (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(DEV_READY): requirements-dev.lock | $(BIN)/python
	@echo "installing the developers' dependencies into $(VENV) (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ $(RUN_READY)

$(BENCH_READY): requirements-bench.lock | $(DEV_READY)
	@echo "installing the benchmarks' dependencies into $(VENV) (once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@
