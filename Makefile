# All it takes is make and Python 3.11 to 3.14 with venv and pip; everything else goes into .venv.
# `make` alone lists the targets.

AIRFLOW ?= 3.3
VENV := .venv$(if $(filter-out 3.3,$(AIRFLOW)),/airflow-$(AIRFLOW))
CONSTRAINTS := constraints/constraints-$(AIRFLOW).txt
BIN := $(VENV)/bin
STORES := .venv/stores
BENCH := .venv/bench
AZURITE := azurite@3.35.0

# A prompt may hold quotes, $ and anything else: `value` leaves it as it is, and no shell ever reads it.
export KLING_DEMO_PROMPT := $(or $(value PROMPT),$(value KLING_DEMO_PROMPT))
export KLING_DEMO_DURATION := $(or $(value DURATION),$(value KLING_DEMO_DURATION))
export KLING_DEMO_ASPECT_RATIO := $(or $(value ASPECT_RATIO),$(value KLING_DEMO_ASPECT_RATIO))
export KLING_DEMO_SOUND := $(or $(value SOUND),$(value KLING_DEMO_SOUND))
export KLING_DEMO_KEEP := $(or $(value KEEP),$(value KLING_DEMO_KEEP))
unexport PROMPT DURATION ASPECT_RATIO SOUND KEEP

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test faults stores bench lint build constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed-simulator ## one video, no key, no cost [PROMPT= DURATION= ASPECT_RATIO= SOUND=1 KEEP=1]
	@exec $(BIN)/python -m airflow_provider_kling.demo

test: $(VENV)/.installed-dev ## the test-suite [ARGS="-k name" AIRFLOW=3.1]
	@exec $(BIN)/python -m pytest -q $(ARGS)

faults: $(VENV)/.installed-dev ## the whole fault table, in a real Airflow on PostgreSQL [ARGS="-k clear"]
	@exec $(BIN)/python -m pytest -q tests/faults --all-events $(ARGS)

stores: ## videos into real object stores: S3, Google Cloud Storage, Azure (npm brings its server) [ARGS="-k s3"]
	@$(MAKE) --no-print-directory VENV=$(STORES) CONSTRAINTS=constraints/constraints-stores.txt \
	  $(STORES)/.installed-dev,stores $(STORES)/bin/azurite-blob
	@exec $(STORES)/bin/python -m pytest -q tests/stores $(ARGS)

bench: ## the measurements, ratios first; some 50 minutes [ARGS="slots campaign"]
	@$(MAKE) --no-print-directory VENV=$(BENCH) CONSTRAINTS=constraints/constraints-bench.txt $(BENCH)/.installed-dev,bench
	@exec $(BENCH)/bin/python benchmarks/run.py $(ARGS)

lint: $(VENV)/.installed-dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

build: $(VENV)/.installed-dev ## wheel and sdist into dist/
	$(BIN)/python -m build

constraints: ## pin today's releases anew [AIRFLOW=3.3 PYTHON=python3.11]
	constraints/update.sh $(AIRFLOW) $(PYTHON)

clean: ## remove what can be made again; the demo's videos stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed-%: pyproject.toml $(CONSTRAINTS) $(BIN)/python
	@echo "Installing Airflow $(AIRFLOW) and this provider into $(VENV) (takes a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$*]" -c $(CONSTRAINTS)
	@touch $@

$(STORES)/bin/azurite-blob: $(STORES)/bin/python
	@if command -v npm >/dev/null; then \
	  npm install --silent --no-fund --no-audit --global --prefix $(STORES) $(AZURITE); \
	else echo "There is no npm: the tests with Azure are skipped."; fi

# A Python must run, not only be there (version managers leave dead shims), and be able to make a venv.
PYTHONS = $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3)
VERSION_FITS = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
ROOM = import shutil, sys; free = shutil.disk_usage(".").free / 1e9; \
	sys.exit(f"make: 1.5 GB of free disk is needed here, there are {free:.1f} GB." if free < 1.5 else 0)

$(BIN)/python:
	@fits=; for python in $(PYTHONS); do \
	  "$$python" -c '$(VERSION_FITS)' 2>/dev/null || continue; \
	  fits=$$python; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	  "$$python" -c '$(ROOM)' || exit 1; \
	  exec "$$python" -m venv --clear $(VENV); \
	done; \
	if [ "$$fits" ]; then \
	  echo "make: $$fits can't make a venv; install its venv package (Debian, Ubuntu: apt install $${fits##*/}-venv)." >&2; \
	else \
	  echo "make: needs Python 3.11 to 3.14, tried: $(PYTHONS). Choose one with PYTHON=/path/to/python3." >&2; \
	fi; exit 1
