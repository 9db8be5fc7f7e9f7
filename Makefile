# The two commands: `make run` and `make test`. Everything else is for developers.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps
SELF := $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
SOURCES := monitor connectors alerts tests

.PHONY: run test peers fix bench rivals learn lock clean

run: $(VENV)/.run
	@exec $(BIN)/pantau demo

test: $(VENV)/.dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto

# Real servers for the tests: a Bluesky PDS and an AppView. Without them the tests that read them are skipped.
peers:
	@tests/peers/install

fix: $(VENV)/.dev
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: $(VENV)/.dev
	$(BIN)/python tests/bench.py

# What `make bench` compares with, in an environment of its own: nothing of the project imports or needs them.
RIVALS := $(VENV)/rivals
rivals: $(RIVALS)/.made
$(RIVALS)/.made:
	$(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip install --disable-pip-version-check --quiet rss2email==3.14 urlwatch==2.29 twarc==2.14.0
	@touch $@

# The second opinion, from the labelled posts of the project but those that measure it (frozen), and from ordinary texts,
# one a line, in files that the project does not ship: make learn ORDINARY="tweets.txt headlines.txt". Without them the
# model alerts on far more ordinary posts.
LABELLED := tests/data/detection
HEADLINES := $(wildcard $(LABELLED)/ordinary-headlines*.jsonl)
ORDINARY :=
learn: $(VENV)/.dev
	$(BIN)/pantau rules learn $(filter-out $(LABELLED)/frozen% $(HEADLINES),$(sort $(wildcard $(LABELLED)/*.jsonl))) \
	  $(addprefix --ordinary ,$(sort $(HEADLINES)) $(ORDINARY))

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Pantau needs Python 3.11 or newer (make PYTHON=python3.12 …)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What `make test` installed serves `make run` as well.
$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	@test -e $(VENV)/.dev || { echo "setting up (a minute, once)"; $(PIP) -r requirements.lock && $(SELF); }
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "setting up (a few minutes, once)"
	@$(PIP) -r requirements-dev.lock && $(SELF)
	@touch $@ $(VENV)/.run

# Locks carry hashes and no registry addresses.
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml
lock:
	$(LOCK) --group build -o requirements.lock
	$(LOCK) --all-extras --group dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
