# What a newcomer needs: make run, make demo, make test. The rest is for people who change the code.
.PHONY: help env dev run demo test clients check bench format lock clean
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
COMPILE := $(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.12

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# A uv of our own in a venv of its own: works where pip refuses system installs (PEP 668) and under pyenv shims.
# Debian and Ubuntu split ensurepip off into python3-venv; without it the venv is made bare and pip is borrowed.
$(UV):
	@echo "Getting uv into .uv (once)"
	@$(PYTHON) -m venv .uv 2>/dev/null && .uv/bin/python -m pip --version >/dev/null 2>&1 \
	  || { rm -rf .uv && $(PYTHON) -m venv --without-pip .uv && $(PYTHON) -m pip --python .uv/bin/python install -q pip; } \
	  || { rm -rf .uv; echo "Python 3 with pip is needed: on Debian or Ubuntu, apt-get install python3-venv"; exit 1; }
	@.uv/bin/python -m pip install -q uv

.venv/.env-stamp: $(UV) requirements.lock pyproject.toml .python-version
	@test -x $(BIN)/python || $(UV) venv -q --python "$$(cat .python-version)" --clear .venv 2>/dev/null || $(UV) venv -q --clear --python '>=3.12' .venv
	@$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@rm -f .venv/.dev-stamp && touch $@

.venv/.dev-stamp: .venv/.env-stamp requirements-dev.lock
	@$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

env: .venv/.env-stamp  ## make or refresh .venv from the lock

dev: .venv/.dev-stamp  ## the same, with what the tests and checks need

run: env  ## start Sekisho on 127.0.0.1:8080, the record under ./data
	@$(BIN)/sekisho serve --config config.yaml

demo: dev  ## a provider of our own, the official SDK, the record: no network, no key
	@$(BIN)/sekisho demo

test: dev  ## the whole suite
	@$(BIN)/python -m pytest $(ARGS)

clients: dev  ## more clients of PyPI and npm, which tests/clients then drives as well: minutes, and 2 GB in .clients
	@$(UV) venv -q --allow-existing .clients
	@$(UV) pip install -q --python .clients/bin/python -r tests/clients/more/requirements.txt
	@$(UV) venv -q --allow-existing --python 3.12 .clients/aider  # it wants older ones of what the others want new
	@$(UV) pip install -q --python .clients/aider/bin/python aider-chat
	@ln -sf ../aider/bin/aider .clients/bin/aider
	@cd tests/clients && npm ci --silent --no-progress
	@cp tests/clients/more/package.json .clients/
	@PATH="$(CURDIR)/tests/clients/node_modules/.bin:$$PATH" npm install --silent --no-progress --no-audit --no-fund --prefix .clients
	@$(BIN)/python -m pytest tests/clients $(ARGS)

check: dev  ## format, lint, types, import rules
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: dev  ## Sekisho beside what one would pick instead; ARGS=--quick for a few minutes
	@$(BIN)/python -m benchmarks.run $(ARGS)

format: dev  ## put the code into shape
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: $(UV)  ## resolve again; both locks carry names, versions and hashes, no addresses
	@$(COMPILE) --upgrade --group build --group dev pyproject.toml -o requirements-dev.lock
	@$(COMPILE) --upgrade --group build -c requirements-dev.lock pyproject.toml -o requirements.lock

clean:  ## remove what make made (never ./data)
	@rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis
