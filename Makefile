# The README's two commands. Each sets up everything it needs in .venv and does its job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINUTES ?= 3

# Tests run in as many processes as there are cores; each computes with one thread.
JOBS ?= auto
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

.PHONY: demo test coverage test-oldest check docs clean

## Train, evaluate and predict in a few minutes; DATA=folder uses your own data set.
demo: $(VENV)/.installed
	$(BIN)/lexiseg demo $(DATA) --minutes $(MINUTES)

## All tests, the installed wheel included.
test: $(VENV)/.installed-dev
	$(PYTEST) tests $(PYTEST_OPTIONS)

## All tests, with the branches that they reach, module by module; fails below 90 %.
coverage:
	$(MAKE) test PYTEST_OPTIONS="--cov --cov-report=term --cov-fail-under=90"

## Unit and parity tests with the oldest allowed version of every dependency, in an environment of its own (takes
## a while to install; pip downloads about 3 GB).
test-oldest:
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --upgrade pip
	$(PYTHON) .ci/oldest.py > .venv-oldest/oldest.txt
	.venv-oldest/bin/python -m pip install --quiet --constraint .venv-oldest/oldest.txt -e '.[dev]'
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n $(JOBS) --dist loadfile tests/unit tests/parity

## Style, types, and the direction of imports.
check: $(VENV)/.installed-dev
	$(BIN)/ruff check --no-cache src tests benchmarks docs .ci
	$(BIN)/ruff format --no-cache --check src tests benchmarks docs .ci
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

## The documentation as a site, in site/; any warning fails. The variable silences an advertisement of the theme.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .venv-oldest .coverage demo site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Lexiseg needs Python 3.11 or newer, this is %d.%d. Use: make PYTHON=python3.11 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# torch and torchvision go first and together, so that pip chooses one pair that fits.
$(VENV)/.torch: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet torch torchvision
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	@touch $@
