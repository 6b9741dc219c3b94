# The README's two commands. Each sets up everything it needs in .venv and does its job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINUTES ?= 3
# Kills of `make faults`, and the seed of their moments.
KILLS ?= 100
SEED ?= 0
# Builds and starts the images of `make test-containers`: docker or podman.
CONTAINERS ?= docker

# Tests run in as many processes as there are cores; each computes with one thread.
JOBS ?= auto
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# The lock files hold for every system and for Python 3.11 and newer; pip installs from them.
LOCK := $(BIN)/uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--custom-compile-command 'make lock' --constraint locks/pins.txt

# What only evaluation, figures and sheets need stays out of the images of deploy/Dockerfile.
NOT_IN_IMAGES := pandas matplotlib contourpy cycler fonttools kiwisolver pyparsing python-dateutil openpyxl et-xmlfile

.PHONY: demo test coverage test-oldest faults gateway-kills test-clinic test-containers fuzz fuzz-server check lock audit-dependencies docs clean

## Train, evaluate and predict in a few minutes; DATA=folder uses your own data set.
demo: $(VENV)/.installed
	$(BIN)/lexiseg demo $(DATA) --minutes $(MINUTES)

## All tests, the installed wheel included.
test: $(VENV)/.installed-dev
	$(PYTEST) tests $(PYTEST_OPTIONS)

## All tests, with the branches that they reach, module by module; fails below 90 %.
coverage:
	$(MAKE) test PYTEST_OPTIONS="--cov --cov-report=term --cov-fail-under=90"

## Unit and parity tests, and trainings, with the oldest allowed version of every dependency, in an environment of
## its own (takes a while to install; about 3 GB are downloaded). uv finds versions that fit together in a minute; pip
## tries the versions of what moto needs for hours.
test-oldest:
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet uv
	$(PYTHON) .ci/oldest.py > .venv-oldest/oldest.txt
	.venv-oldest/bin/uv --no-config pip install --quiet --python .venv-oldest/bin/python \
		--constraint .venv-oldest/oldest.txt -e '.[dev]'
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n $(JOBS) --dist loadfile tests/unit tests/parity \
		tests/integration/training

## Many damaged and hostile inputs of every kind (images, masks, sheets, YAML, run folders, archives, records) in a
## process with limits; FUZZ="--minutes 10 sheets" changes how many and which. Prints a table; about half an hour.
fuzz: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/campaign.py $(FUZZ)

## Requests against a real server: 10,000 of its description and 10,000 changed uploads; FUZZ="--cases 100 --uploads
## 100" changes how many. Ends with an error if one meets a defect.
fuzz-server: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/server_campaign.py $(FUZZ)

## Style, types, the direction of imports, and no secrets in tracked files (without git, in all files).
check: $(VENV)/.installed-dev
	$(BIN)/ruff check --no-cache src tests benchmarks docs deploy .ci
	$(BIN)/ruff format --no-cache --check src tests benchmarks docs deploy .ci
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python .ci/scan_secrets.py $(BIN)/detect-secrets-hook --baseline .secrets.baseline

## Each command under each fault at random moments, a hundred kills and more; prints a table (takes an hour).
faults: $(VENV)/.installed-dev
	$(BIN)/python -m tests.faults --kills $(KILLS) --seed $(SEED)

## A gateway (`lexiseg watch`) under load that is killed at random moments; prints a line per kill and a summary.
gateway-kills: $(VENV)/.installed-dev
	PYTHONPATH=tests $(BIN)/python -m tests.faults.gateway_kills --kills $(KILLS) --seed $(SEED)

## The gateway beside real archives: needs orthanc, orthanc-dicomweb and dcmtk; what is missing is skipped and counted.
test-clinic: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs tests/clinic

## The images of deploy/Dockerfile: their size, and prediction without rights (takes some minutes).
test-containers: $(VENV)/.installed-dev
	LEXISEG_CONTAINERS=$(CONTAINERS) $(BIN)/python -m pytest -rs tests/containers

## New versions of all locked packages, within the bounds of pyproject.toml, with their hashes.
lock: $(VENV)/.installed-dev
	$(LOCK) pyproject.toml --extra train locks/build.in --output-file locks/runtime.txt
	$(LOCK) pyproject.toml --extra dev --constraint locks/runtime.txt --output-file locks/dev.txt
	$(LOCK) locks/build.in --constraint locks/runtime.txt --output-file locks/build.txt
	$(LOCK) pyproject.toml --extra gateway --extra serve $(NOT_IN_IMAGES:%=--no-emit-package %) \
		--constraint locks/dev.txt --output-file locks/container.txt
	$(LOCK) pyproject.toml --extra docs --constraint locks/dev.txt --output-file locks/docs.txt

## The locked packages against the known vulnerabilities (needs the service of PyPI).
audit-dependencies: $(VENV)/.installed-dev
	$(BIN)/python .ci/audit_dependencies.py locks/runtime.txt locks/dev.txt locks/docs.txt

## The documentation as a site, in site/; any warning fails. The variable silences an advertisement of the theme.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .venv-oldest .coverage demo site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Lexiseg needs Python 3.11 or newer, this is %d.%d. Use: make PYTHON=python3.11 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# Packages come from the lock files: exactly these files, whoever serves them. Lexiseg itself is built with what is
# locked too, so nothing else is fetched.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
FROM_LOCK := $(PIP) --require-hashes --requirement

$(VENV)/.installed: $(VENV)/bin/python locks/runtime.txt pyproject.toml
	$(FROM_LOCK) locks/runtime.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed locks/dev.txt
	$(FROM_LOCK) locks/dev.txt
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed locks/docs.txt
	$(FROM_LOCK) locks/docs.txt
	@touch $@
