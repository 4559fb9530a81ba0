# Two commands: `make repro` runs the whole loop, `make test` passes the tests. Both can be run again at any time.
SHELL := /bin/bash
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
unexport PYTHONDONTWRITEBYTECODE
# Containers run with a user id that has no name and no home
export HOME ?= $(CURDIR)/build
export USER ?= user
LOOP := mkdir -p data/ledger/editions data/ledger/forgotten && mkdir -p -m 700 build && hfkit doctor --fix && dvc repro

.PHONY: help repro test lint lab example sample lock bench campaign
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: env-runtime ## environment, then the whole loop on data/raw, then the decision
	@$(LOOP)
	@hfkit decision

test: env-test ## lint, types, the loop, all tests, and the notebooks' check cells
	@$(MAKE) --no-print-directory lint
	@$(LOOP)
	@python -m pytest -n auto --dist loadfile --durations=10
	@python -m pytest --nbval notebooks -n auto --dist loadfile -o addopts= -o filterwarnings=default -p no:cacheprovider -q

lint: env-test
	@ruff check . && ruff format --check . && mypy

lab: env-lab ## add JupyterLab and open it on notebooks/
	@jupyter lab --notebook-dir=notebooks --config=tools/jupyter_server_config.py

example: env-runtime ## run the loop on an example: make example NAME=popquorn DATA=<folder with its files>
	@test -n "$(NAME)" -a -n "$(DATA)" || { echo "usage: make example NAME=popquorn DATA=<folder>; see examples/"; exit 2; }
	@hfkit workspace "workspaces/$(NAME)" --params "examples/$(NAME)/params.yaml" --data "$(DATA)"
	@cd "workspaces/$(NAME)" && $(LOOP) && HFKIT_ROOT="$$PWD" hfkit decision

sample: env-runtime ## write the sample world to data/raw again; OVERWRITE=1 replaces its files where they differ
	@hfkit sample --out data/raw --truth tests/planted_truth.json $(if $(OVERWRITE),--overwrite)

bench: env-bench ## compare with the peers, in one run, as ratios
	@for f in benchmarks/bench_*.py; do echo "== $$f"; python $$f || exit 1; done

campaign: env-test ## the long versions of the error rates, printed; fails where a rate is missed (docs/error_rates.md)
	@HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns -o testpaths= -q -s; first=$$?; \
	python tests/campaigns/calibration.py && exit $$first

lock: ## pin the newest allowed versions again (needs uv)
	@for extra in "" test lab bench; do \
	  uv pip compile pyproject.toml $${extra:+--extra $$extra -c requirements.txt} --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --quiet -o requirements$${extra:+-$$extra}.txt || exit 1; done

.PHONY: env-runtime env-test env-lab env-bench
env-runtime:
	@$(PYTHON) tools/environment.py requirements.txt
env-test:
	@$(PYTHON) tools/environment.py requirements-test.txt
env-lab: env-runtime
	@$(PYTHON) tools/environment.py requirements-lab.txt
env-bench: env-test
	@$(PYTHON) tools/environment.py requirements-bench.txt
