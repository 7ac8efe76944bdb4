# `make` alone prints the targets. Everything is installed into .venv/ and .tools/, nothing outside this folder.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test check lint format engine bench clean

help: ## print the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: .venv/.installed ## deploy the store on this machine, break a model, get it back, prove it
	@$(BIN)/python -m artifact_store.embedded.demo

test: lint engine ## everything: linters, types, unit tests, S3 servers, the Pulumi engine
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/.dev ## the fast part of test: linters, types, unit tests; no engine, no servers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not engine and not servers"

lint: .venv/.dev .tools/actionlint ## linters and types, workflows too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --no-progress --quiet .github/workflows
	@if [ -x .tools/actionlint ]; then echo .tools/actionlint && .tools/actionlint; fi

format: .venv/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

engine: .venv/.dev ## build the pulumi command into .tools/ where there is none (4 minutes)
	@tools/build pulumi

.tools/actionlint: .venv/.dev tools/lint/go.mod tools/build
	@tools/build actionlint

bench: .venv/.dev ## measure against other tools, side by side
	$(BIN)/python -m bench

clean: ## remove what was installed, built and cached
	rm -rf .venv .tools build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "needs Python 3.11 or newer, found $$($(PYTHON) -V 2>&1); name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python requirements.txt pyproject.toml
	@echo "installing into .venv (a minute, once)"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.dev: .venv/.installed requirements-dev.txt
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
