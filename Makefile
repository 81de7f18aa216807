# Each target but help makes .venv from requirements.lock first, if it is missing or older than the lock.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint keys bench lock
PYTHON ?= python3
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
VENV := .venv
READY := $(VENV)/.installed

# Signs in the path of this folder that a shell reads: Snakemake does not quote the path of its Python.
ODD := $(shell printf %s "$$PWD" | tr -dc "[:space:]'\"\\\\\\$$&;|<>()\`" | wc -c)
ifneq ($(strip $(ODD)),0)
$(error certbd cannot run in $(CURDIR): Snakemake does not quote the path of its Python, so every job \
would fail. Move it to a path without spaces, quotes and other signs that a shell reads)
endif

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'with .venv active: snakemake --cores N [TARGET] [--configfile FILE] [--config KEY=VALUE ...]'
	@awk '/^ *localrules:/{on=1; next} /^$$/{on=0} on{gsub(/[ ,]/, ""); if ($$0 != "all") print "  target " $$0}' Snakefile

setup: $(READY)  ## make .venv from requirements.lock

demo: $(READY)  ## certify the default run (config/config.yaml), then print its summary
	snakemake --cores $(CORES)
	@python workflow/scripts/show_summary.py results/summary.csv

test: $(READY)  ## run every test, files side by side
	python -m pytest --numprocesses $(CORES) --dist loadfile

lint: $(READY)  ## ruff, mypy, snakefmt, snakemake --lint
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

keys: $(READY)  ## write the schema, the table of keys (config/README.md) and the page of columns
	PYTHONPATH=workflow/scripts python -m certbd.config.describe
	PYTHONPATH=workflow/scripts python -m certbd.report.columns

bench: $(READY)  ## speed against plain loops: storage-update, and training on the CPU (MNIST with CERTBD_DATA_ROOT)
	python benchmarks/storage.py
	python benchmarks/training.py --dataset digits
	[ -z "$(CERTBD_DATA_ROOT)" ] || python benchmarks/training.py --dataset mnist --data-root "$(CERTBD_DATA_ROOT)"

lock: $(READY)  ## resolve pyproject.toml again into requirements.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --upgrade --universal \
	    --generate-hashes --no-emit-index-url --extra workflow --group dev pyproject.toml --output-file requirements.lock

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "certbd needs Python 3.11 or newer with venv: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install --quiet --compile-bytecode --require-hashes --requirement requirements.lock
	@touch $@
