# facade on this machine, as root or not; `make help` says what there is.
# Nothing outside this directory is installed or changed: .venv is Python's part, .tools is HTCondor.

PYTHON ?= python3
BIN := .venv/bin
TESTERS ?= 2

.PHONY: help demo test lint bench chaos condor validator pgbouncer .venv clean distclean

help:  ## this table
	@awk -F ':.*## ' '/^[.a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Another Python than python3 (3.11 or newer):  make PYTHON=python3.12 ..."

demo: .venv  ## run the demo campaign
	@exec $(BIN)/python tools/demo.py

test: .venv condor validator pgbouncer lint  ## all checks and tests, with a real HTCondor and a real PostgreSQL
	$(BIN)/pytest -n $(TESTERS) --dist loadfile --durations 25

lint: .venv  ## the checks alone: style, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy tools tests/pool.py
	MYPYPATH=tests:tools $(BIN)/mypy -p chaos
	$(BIN)/lint-imports

bench: .venv  ## measure: every program in bench/
	@set -e; for program in bench/*.py; do echo "== $$program"; $(BIN)/python "$$program"; done

FAULTS ?= 300
SEED ?= 1
chaos: .venv condor  ## break things at random moments of the demo campaign (FAULTS=300 SEED=1; table also in chaos.json)
	@PYTHONPATH=tests $(BIN)/python -m chaos --faults $(FAULTS) --seed $(SEED) --json chaos.json

condor: .venv  ## a private HTCondor in .tools/condor (FACADE_CONDOR_PREFIX=DIR: elsewhere)
	@$(BIN)/python tools/condor.py prefix

validator: .venv .tools/validator/.installed  ## the RO-Crate validator in .tools/validator, which tests ask

pgbouncer: .venv  ## a PgBouncer in .tools/pgbouncer, which tests put before PostgreSQL
	@$(BIN)/python tools/pgbouncer.py .tools/pgbouncer

.tools/validator/.installed: tools/validator.txt
	@mkdir -p .tools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target .tools/validator \
	  -r $< 2>.tools/validator.log || { cat .tools/validator.log >&2; exit 1; }
	@touch $@

.venv: .venv/.installed  ## the virtual environment

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "facade needs Python 3.11 or newer, and '$(PYTHON)' is not. Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) tools/bootstrap.py .venv
	@touch $@

clean:  ## remove what tests and builds leave behind
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -path ./.venv -prune -o -path ./.tools -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean  ## also .venv and .tools
	rm -rf .venv .tools *.egg-info
