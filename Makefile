# The README's two commands. Each sets up everything it needs in .venv and does its job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINUTES ?= 3

.PHONY: demo test check docs clean

## Train, evaluate and predict in a few minutes; DATA=folder uses your own data set.
demo: $(VENV)/.installed
	$(BIN)/lexiseg demo $(DATA) --minutes $(MINUTES)

## All tests, the installed wheel included.
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests

## Style and types.
check: $(VENV)/.installed-dev
	$(BIN)/ruff check --no-cache src tests benchmarks docs
	$(BIN)/ruff format --no-cache --check src tests benchmarks docs
	$(BIN)/mypy

## The documentation as a site, in site/; any warning fails. The variable silences an advertisement of the theme.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

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
