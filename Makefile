# The habits of the repo. Needs Python 3.11 or newer with pip; `make PYTHON=python3.12 test` picks another one.
# Everything lives in .venv; `make clean` takes it away.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: sharing exchange ops-check help setup demo test lint types unit models models-test verify-models static-quantised long packaging stress giants decode conformance conformance-page topologies executed clean torch-test threads programs pool

VENV := .venv
# The older openvino that the table is held against as well.
OLDER_OPENVINO := 2025.4.1
BIN := $(VENV)/bin
CHECKED := .
TYPED := ovpart examples benchmarks docs
PYTEST := $(BIN)/python -m pytest
# One worker a core, but no more than four: each holds two engines.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$(( n > 4 ? 4 : n )))

help: ## say what the targets do
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

setup: $(VENV)/.installed ## make .venv and install the project into it, once

# A shim that stands for no interpreter answers --version with an error, so each candidate is tried by running it.
# Where Debian's python3 has no ensurepip, the environment is made without pip and filled from outside.
$(VENV)/.installed: pyproject.toml
	@python="$(PYTHON)"; \
	for candidate in python3.11 python3.12 python3.13 python3 python; do \
	  [ -n "$$python" ] && break; \
	  $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && python=$$candidate; \
	done; \
	if [ -z "$$python" ]; then echo "ovpart needs Python 3.11 or newer: none was found on PATH" >&2; exit 1; fi; \
	echo "setting up $(VENV) with $$($$python --version)"; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  $$python -m venv $(VENV) 2>/dev/null \
	    || { $$python -m venv --clear --without-pip $(VENV) && $$python -m pip --python $(BIN)/python install --quiet pip; }; \
	fi
	@echo "installing ovpart and what it needs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

demo: setup ## find the minutiae of a drawn fingerprint, split between two engines
	@$(BIN)/python examples/demo.py

test: lint types unit ## lint, types and the unit tests: what a change must pass

lint: setup ## ruff: rules and layout
	@echo "ruff check"
	@$(BIN)/ruff check $(CHECKED)
	@echo "ruff format --check"
	@$(BIN)/ruff format --check $(CHECKED)

types: setup ## mypy, strict
	@echo "mypy --strict"
	@$(BIN)/mypy --strict --explicit-package-bases $(TYPED)

unit: setup ## pytest, without what takes minutes or needs fetched models
	@echo "pytest on $(WORKERS) workers"
	@$(PYTEST) -n $(WORKERS) -m "not long and not models" tests

models: setup ## fetch the real models of tests/models_manifest.toml (about 280 MB)
	@$(BIN)/python benchmarks/fetch_models.py

models-test: models ## run every real model and compare it with onnxruntime
	@echo "pytest on the real models"
	@$(PYTEST) -n $(WORKERS) -m "models and not long" tests

verify-models: models ## hold every real model against onnxruntime, cluster by cluster, and write docs/verification.md
	@PYTHONPATH=. $(BIN)/python benchmarks/verify_models.py --write

static-quantised: models ## quantise a language model statically, and hold it against onnxruntime's own optimisation levels
	@PYTHONPATH=. $(BIN)/python benchmarks/static_quantised.py

long: setup ## the tests that take minutes
	@echo "pytest, long tests"
	@$(PYTEST) -m "long and not models" tests --ignore tests/packaging

packaging: setup ## build wheel and sdist, and install each, and editable, into an empty environment
	@echo "pytest on what is built and installed"
	@$(PYTEST) tests/packaging

torch-test: setup ## install PyTorch and test ovpart.torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,torch]"
	@$(PYTEST) tests/test_torch.py

decode: setup ## a decoder with a key/value cache, 256 steps, beside onnxruntime with IO binding and openvino
	@$(BIN)/python benchmarks/decode.py

sharing: setup ## memory of sessions that share, beside two that do not, onnxruntime and openvino; and of several processes
	@$(BIN)/python -m benchmarks.sharing

giants: setup ## memory of a model with 4.3 GB of weights, beside openvino; needs 10 GB of memory and 5 GB of disk
	@$(BIN)/python benchmarks/giants.py
	@$(BIN)/python benchmarks/giants.py --split

executed: setup ## models of 100,000 nodes, planned, compiled and run, beside both engines alone; an hour
	@$(BIN)/python -m benchmarks.executed

ops-check: setup ## measure again what the table says, with the newest openvino and an older one
	@echo "ops check with the newest openvino"
	@$(BIN)/ovpart ops check
	@echo "ops check with openvino $(OLDER_OPENVINO), in .venv-older"
	@test -x .venv-older/bin/ovpart || { $(BIN)/python -m venv .venv-older && .venv-older/bin/python -m pip install --quiet \
	  --disable-pip-version-check -e . "openvino==$(OLDER_OPENVINO)"; }
	@.venv-older/bin/ovpart ops check || echo "docs/support.md lists what that version is known not to take"

ways: models ## every way to run the real models beside each other, and what a session settles on; on an idle machine
	@PYTHONPATH=. $(BIN)/python -m benchmarks.ways

pool: setup ## six models at once: in a pool, as sessions, and on each engine as it comes
	@$(BIN)/python benchmarks/pool.py

stress: setup ## ten thousand runs from eight threads, answers and memory watched
	@$(BIN)/python benchmarks/stress.py

threads: setup ## eight threads on four sessions with onnxruntime's face, 64,000 runs of mixed shapes
	@echo "pytest, many threads"
	@$(PYTEST) -m long tests/compat/test_threads.py

exchange: setup ## compiled models to onnxruntime's OpenVINO provider and back, both forms of it; fetches four environments once (1.6 GB on disk)
	@echo "pytest, exchange with the provider"
	@$(PYTEST) -m long tests/compat/test_exchange.py tests/compat/test_exchange_plugin.py

programs: setup ## programs over five real libraries, with onnxruntime and with our face in its place
	@echo "installing the libraries of the programs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,programs]"
	@$(PYTEST) -m long tests/compat/test_programs.py

conformance: setup ## onnx's official backend tests in three forms, against onnxruntime; 12 to 60 minutes
	@nice $(BIN)/python -m benchmarks.conformance.run

conformance-page: setup ## write docs/conformance.md from what make conformance measured
	@$(BIN)/python -m benchmarks.conformance.page

topologies: setup ## build, run and tell the networks of the documents; installs torch aside, takes about an hour
	@$(BIN)/python -m benchmarks.topologies all

clean: ## take away .venv and everything that was built
	@echo "removing $(VENV), build output and caches"
	@rm -rf $(VENV) .venv-older build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find ovpart tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
