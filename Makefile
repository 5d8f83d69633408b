# meshd. Everything is a target here; `make` alone lists them.
MAKEFLAGS += --no-print-directory --silent
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

SEED ?= 1
SEEDS ?= 500
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
JS := tests/interop/node_modules/.package-lock.json

.PHONY: help setup run test check bench sim lock clean swarm mutants soak interop

help: ## List the targets
	awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv with everything pinned in requirements.lock (once)

$(READY): requirements.lock pyproject.toml
	set -e; rm -f $@; \
	if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  for python in python3.11 python3.12 python3.13 python3; do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo 'meshd needs Python 3.11 or later: install python3.11 with its venv module.' >&2; exit 1; fi; \
	  if ! $$python -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "$$python has no venv module: install it (Debian, Ubuntu: python3-venv)." >&2; exit 1; fi; \
	  echo "Making .venv with $$($$python --version)"; \
	  $$python -m venv --clear .venv; \
	fi; \
	echo 'Installing what requirements.lock pins'; \
	if ! $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --no-deps --require-hashes -r requirements.lock; then \
	  command -v cc >/dev/null || \
	    echo 'If a package had to be built above: install gcc and the headers of Python.' >&2; \
	  exit 1; \
	fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --no-build-isolation -e .; \
	echo 'Compiling the kernels (once)'; \
	$(BIN)/python -m meshd.router.warm; \
	touch $@

run: setup ## The demo: a constellation of daemons, a route, a job that loses a satellite
	$(BIN)/meshd demo

test: setup ## Run all tests, two files at a time (ARGS='-k custody' for some)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

interop: setup $(JS) ## A js-libp2p peer and daemons talk (needs node 20 and npm)
	$(BIN)/python -m pytest tests/interop $(ARGS)

$(JS): tests/interop/package-lock.json
	command -v npm >/dev/null || { echo 'The js-libp2p peer needs node 20 or later, and npm.' >&2; exit 1; }
	cd tests/interop && npm ci --loglevel=error
	touch $@

check: setup ## Format, lint, types, import law, and the tests of the source itself
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest tests/tidy

bench: setup ## Measure routes, codecs and the simulator (ARGS=kernel for that alone)
	$(BIN)/python -m tests.bench $(ARGS)

sim: setup ## One simulated experiment: make sim SEED=7
	$(BIN)/meshsim run quickstart --seed $(SEED)

swarm: setup ## Drawn meshes under drawn faults: make swarm SEEDS=500
	$(BIN)/meshsim swarm --seeds $(SEEDS) --jobs 2

mutants: setup ## Every planted bug must be caught by the swarm within 200 seeds
	$(BIN)/python -m tests.mutants --seeds 200

soak: setup ## The long form: 5,000 seeds, and the mutants
	$(BIN)/meshsim swarm --seeds 5000 --jobs 2
	$(BIN)/python -m tests.mutants --seeds 200

lock: setup ## Pin the dependencies of pyproject.toml anew
	UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile --quiet --universal --generate-hashes \
	  --no-header --no-annotate --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean: ## Remove .venv and all caches
	rm -rf tests/interop/node_modules .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find meshd protocols sim tests -name __pycache__ -type d -prune -exec rm -rf {} +
