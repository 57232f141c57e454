# Needs Python 3.11 or newer and nothing else; every word makes its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The hot path is compiled where there is a C compiler: the same files, several times faster. `make COMPILE=no …` does without.
COMPILE := yes
COMPILED := $(VENV)/.compiled-$(COMPILE)
HOT := setup.py $(wildcard schemas/*.py streams/core/*.py streams/runtime/*.py sinks/clickhouse/rows.py)
# Many tests wait for what they started (broker, workers, warehouse): three processes keep two cores busy. Modules of which
# each test asks the same warehouse little stay in one process (xdist_group), where it is started once.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help setup fmt check test test-all demo bench

help:
	@echo "make setup     Create $(VENV), install Throughline with the pinned set of dependencies, compile its hot path."
	@echo "make fmt       Format the code, and mend what ruff can mend."
	@echo "make check     Format, lint, types, import contracts, schema compatibility (under 30 s)."
	@echo "make test      Every test that needs no real Kafka and is not slow (under 5 min)."
	@echo "make test-all  Every test; those on a real Kafka need Java 17 and Maven, or a broker that is up."
	@echo "make demo      A simulated shop day, everything embedded, compared with its ground truth."
	@echo "make bench     What it costs: touchpoints a second and core, microseconds a step."

setup: $(COMPILED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Throughline needs Python 3.11 or newer, not " + sys.version.split()[0] + "; choose one with: make PYTHON=python3.12 ...")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the pinned dependencies (a few minutes the first time)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(COMPILED): $(INSTALLED) $(HOT)
	@rm -f $(VENV)/.compiled-* schemas/*.so streams/*/*.so sinks/*/*.so
	@if [ $(COMPILE) = no ]; then echo "Not compiled, as asked: everything runs interpreted"; \
	elif ! command -v $(firstword $(CC)) >/dev/null; then echo "No C compiler ($(CC)): everything runs interpreted, several times slower"; \
	else echo "Compiling the hot path (about a minute)"; \
	  $(BIN)/python setup.py -q build_ext --inplace >$(VENV)/compile.log 2>&1 || { \
	    rm -f schemas/*.so streams/*/*.so sinks/*/*.so; tail -n 3 $(VENV)/compile.log; \
	    echo "Not compiled (see $(VENV)/compile.log; are Python's headers there?): everything runs interpreted, several times slower"; \
	    test -z "$$CI"; }; \
	  touch -c schemas/*.so streams/*/*.so sinks/*/*.so; fi
	@touch $@

fmt: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/throughline schemas check

test: $(COMPILED)
	$(PYTEST) -m "not kafka and not slow and not bench"

test-all: $(COMPILED)
	$(PYTEST) -m "not kafka and not bench"
	$(BIN)/python -m pytest -m "kafka and not bench"

demo: $(COMPILED)
	@$(BIN)/throughline demo

bench: $(COMPILED)
	@$(BIN)/python -m tests.bench
