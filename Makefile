# Everything a developer or operator types. `make` alone prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
SEED ?= 1
MINUTES ?= 10
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready

.PHONY: help demo run up services services-stop test test-quick test-mail chaos picture check lint types format lock clean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

demo: $(RUN_READY) ## Send the example campaign to a catcher on this machine and compare
	@$(BIN)/python -m admin demo

run: $(RUN_READY) ## Run everything on the embedded default, the pages too, until Ctrl-C
	@$(BIN)/python -m ops.run.together

up: $(RUN_READY) ## Run worker, timekeeper, periodiq and web under a supervisor, on the configured RabbitMQ and Postgres
	@$(BIN)/python -m ops.supervise

services: $(RUN_READY) ## Start a private RabbitMQ and Postgres below var/ and print their URLs
	@$(BIN)/python -m ops.servers.local start

services-stop: $(RUN_READY) ## Stop what `make services` started
	@$(BIN)/python -m ops.servers.local stop

# They wait more than they work: more processes than cores, side by side.
PROCESSES ?= 4
PYTEST = $(if $(AT),$(BIN)/python -m tests.faked "$(AT)") $(BIN)/python -m pytest -n $(PROCESSES)

test: $(DEV_READY) ## Install what the tests need and run them all; AT="2026-11-26 23:58": as if it were then in Warsaw
	@$(BIN)/python -m ops.servers.local install
	@$(PYTEST) $(TESTS)

# Those without processes of the product's: pure ones, and those on rows.
QUICK := $(addprefix tests/,actors chaos mail models scheduling web) $(wildcard tests/test_*.py)

test-quick: $(DEV_READY) ## Run the quick ones among them: pure rules, mail, and what is done to rows
	@$(BIN)/python -m ops.servers.local install
	@$(PYTEST) -m "not slow" $(QUICK)

test-mail: $(DEV_READY) ## Run the tests of mail/ on every other Python that is supported and installed
	@$(BIN)/python -m tests.pythons

chaos: $(DEV_READY) ## Run it all for MINUTES under faults that SEED decides, and compare with the mail server's log
	@$(BIN)/python -m ops.servers.local install
	@$(BIN)/python -m tests.chaos --seed $(SEED) --minutes $(MINUTES)

check: lint types test test-mail ## Everything that must be green before a change is done

picture: $(DEV_READY) ## Draw docs/today.png anew: run a day in a minute, and look at its page
	@$(BIN)/python -m tests.picture docs/today.png

lint: $(DEV_READY) ## Style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEV_READY) ## Types
	@$(BIN)/mypy .

format: $(DEV_READY) ## Rewrite the code in the house's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# With the extras: pip takes a pin without one for another package than the one that a dependency asks for by its extra.
lock: $(DEV_READY) ## Pin all dependencies with their hashes again
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-strip-extras \
		--custom-compile-command "make lock" --quiet --output-file requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --group dev --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-strip-extras --custom-compile-command "make lock" --quiet --output-file requirements-dev.lock

clean: ## Stop the embedded Postgres and remove all data of this checkout below var/
	@if [ -x $(BIN)/python ] && [ -d var ]; then $(BIN)/python -m ops.servers.local clean; fi
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
