# `make demo`, `make quick` and `make test` need Python 3.11+, and a network for the first
# installation.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo quick test lint figures studies bench clean

demo: .venv/installed
	$(BIN)/advtrain train configs/digits.yaml

# All tests but those that start other processes (tests/processes).
quick: .venv/installed-dev lint
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow'

test: .venv/installed-dev lint
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null 2>&1 \
	  || $(PYTHON) -m venv --clear .venv  # also where an earlier try was cut off
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

figures: demo
	$(BIN)/python docs/figures.py

# Every state of a verdict for real, and what its suggestion makes of it: over an hour on two cores.
studies: .venv/installed
	$(BIN)/python docs/studies.py

# The tables of docs/performance.md, beside other ways to train the same: leave the machine alone.
bench: .venv/installed-bench
	$(BIN)/python -m bench

.venv/installed-bench: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
