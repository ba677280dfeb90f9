# `make help` lists what there is. Everything is installed into .venv; nothing outside this folder changes but package caches.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# End-to-end tests wait half of their time; the third process computes meanwhile.
WORKERS ?= 3
# Further arguments of pytest, for example PYTEST_OPTIONS="-k overwrite".
PYTEST_OPTIONS ?=
export PYTHONPATH := $(CURDIR)
# Airflow, Spark and the tests start hundreds of Python processes; without cached bytecode each compiles all that it imports.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup java assets demo test test-spark test-kubernetes mutants test-wheel e2e cluster cluster-down lint format bench docs pictures lock image-arguments clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: .venv/.ready ## the environment alone, .venv

.venv/.ready: locks/dev.txt pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or 3.12 is needed and was not found; install it or say where: make PYTHON=/path/to/python3.11"; exit 4; }
	@echo "installing the locked dependencies into .venv (once, one to three minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r locks/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

java: .venv/.ready
	@$(BIN)/python -m dev.java

assets: .venv/.ready
	@$(BIN)/python -m dev.kubernetes_assets >/dev/null

demo: setup java ## Airflow, real Spark and real Iceberg on this machine, with the example manifests
	@$(BIN)/python -m dev.demo

test: setup java ## the whole suite on one machine: everything that needs no API server
	@$(BIN)/pytest -n $(WORKERS) --dist loadscope --timeout 900 -m "not kubernetes" $(PYTEST_OPTIONS)

test-spark: setup java ## the driver and the examples on every version of Spark: make test-spark [SPARK="4.0 4.1"]
	@$(BIN)/python -m dev.spark $(SPARK)

test-kubernetes: setup java assets ## the suite on a real Kubernetes API server
	@$(BIN)/pytest -n $(WORKERS) --dist loadscope --timeout 900 -m kubernetes $(PYTEST_OPTIONS)

mutants: setup ## small faults in the pure modules, each of which a unit test must find
	@$(BIN)/python -m dev.mutants

test-wheel: setup java ## the wheel in clean environments, with the oldest and the newest Airflow
	@$(BIN)/python -m dev.wheel

e2e: setup ## the whole way on a cluster: make e2e KUBECONFIG=... NAMESPACE=... IMAGE=...
	@$(BIN)/python -m dev.e2e

cluster: setup ## a real cluster of one node on this machine, for `make e2e` (root on Debian 12; see docs/kubernetes.md)
	@dev/cluster/up.sh

cluster-down: ## end it; with CLUSTER=--all remove also what was built for it
	@dev/cluster/down.sh $(CLUSTER)

lint: setup ## format, style, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint deploy/Dockerfile
	@$(BIN)/python -m dag_factory.docs --check

format: setup ## put every file into the project's format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: setup java ## the benchmarks; writes docs/benchmarks.md
	@$(BIN)/python -m benchmarks

docs: setup ## generate the manifest reference, the error list and the command line's page
	@$(BIN)/python -m dag_factory.docs

pictures: setup java ## make the README's pictures again (needs Chromium and its driver)
	@$(BIN)/python -m dev.pictures

lock: ## resolve the lock files again
	@for name in dev newest oldest; do \
	  extra="--extra local"; [ $$name = dev ] && extra="$$extra --extra postgres --group dev"; [ $$name = oldest ] && extra="$$extra locks/oldest.in"; \
	  $(BIN)/uv pip compile pyproject.toml $$extra --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade -q -o locks/$$name.txt || exit 1; \
	done
	@for name in spark40 spark41; do \
	  $(BIN)/uv pip compile locks/$$name.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade -q -o locks/$$name.txt || exit 1; \
	done
	@echo uv | $(BIN)/uv pip compile - --universal --generate-hashes --no-header --no-annotate --upgrade -q -o locks/uv.txt

image-arguments: setup ## the Dockerfile's arguments for a version of Spark: make -s image-arguments SPARK=4.1
	@$(BIN)/python -m dev.image $(SPARK)

clean: ## remove everything that was made here
	@[ ! -d .dcp/cluster ] || dev/cluster/down.sh --all
	@rm -rf .venv .dcp build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
