# `make demo` and `make test` need Python 3.11 or newer, and nothing else installed by hand.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.headrace-installed
FEAST := .venv-feast
FEAST_STAMP := $(FEAST)/.feast-installed
SPARK := .venv-spark
SPARK_STAMP := $(SPARK)/.spark-installed
BYTEWAX := .venv-bytewax
BYTEWAX_STAMP := $(BYTEWAX)/.bytewax-installed
OHA := .stack/oha/bin/oha
UV := $(shell command -v uv 2>/dev/null)
CODE := src tests clients $(wildcard benchmarks) $(wildcard data_platform)
TYPED := src tests clients/python/src $(wildcard data_platform)
WORKERS ?= logical
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo demo-live test lint format bench bench-feast bench-stream load-tool stack-up stack-down stack-status lock clean install

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP) ## Simulate a city, compute features, train a model; leaves a project to explore.
	$(BIN)/headrace demo $(ARGS)

demo-live: $(STAMP) ## Let a city happen now: Kafka, streams, Redis and a page; two minutes. ARGS="--seconds 30"
	$(BIN)/python -m data_platform.live $(ARGS)

test: lint ## Everything that a change must pass: lint, types, layers, tests, documents.
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(STAMP) ## Style, types and layers alone.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports --no-cache

format: $(STAMP) ## Rewrite the code in the project's style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## Run the benchmarks; one JSON line each. One alone: make bench ARGS=pit
	$(BIN)/headrace bench $(ARGS)

load-tool: $(OHA) ## Build the load tool of `headrace bench serve`; needs cargo, and some minutes.

$(OHA):
	cargo install oha --version 1.16.0 --locked --root .stack/oha

bench-feast: $(STAMP) $(FEAST_STAMP) $(OHA) ## Run the benchmarks that have Feast beside; installs it into .venv-feast.
	$(BIN)/headrace bench materialize $(ARGS)
	$(BIN)/headrace bench get $(ARGS)
	$(BIN)/headrace bench serve $(ARGS)

bench-stream: $(STAMP) $(SPARK_STAMP) $(BYTEWAX_STAMP) ## Run the stream benchmark with Spark and Bytewax beside; needs a JDK, Maven and Redis.
	$(BIN)/headrace bench stream $(ARGS)

stack-up: $(STAMP) ## Start Kafka and Redis without Docker; data and logs in .stack. With it: docker compose up
	$(BIN)/python -m data_platform.stack up $(ARGS)

stack-down: $(STAMP) ## Stop them; their data stays.
	$(BIN)/python -m data_platform.stack down $(ARGS)

stack-status: $(STAMP) ## Say which of them run and answer.
	$(BIN)/python -m data_platform.stack status $(ARGS)

install: $(STAMP) ## Make .venv from the lock file.

lock: $(STAMP) ## Write requirements.lock again, with the newest versions that pyproject.toml allows; the peers' too.
	$(or $(UV),$(BIN)/uv) --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(or $(UV),$(BIN)/uv) pip compile --quiet --upgrade --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --all-extras --group dev \
	  --output-file requirements.lock pyproject.toml
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(or $(UV),$(BIN)/uv) pip compile --quiet --upgrade --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --only-binary :all: \
	  --output-file benchmarks/feast/requirements.lock benchmarks/feast/requirements.in
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(or $(UV),$(BIN)/uv) pip compile --quiet --upgrade --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --output-file benchmarks/stream_peers/spark-requirements.lock benchmarks/stream_peers/spark-requirements.in
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(or $(UV),$(BIN)/uv) pip compile --quiet --upgrade --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --only-binary :all: \
	  --output-file benchmarks/stream_peers/bytewax-requirements.lock benchmarks/stream_peers/bytewax-requirements.in

clean: ## Remove the environment, caches and build output.
	rm -rf $(VENV) $(FEAST) $(SPARK) $(BYTEWAX) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# The package itself is built with the back end from the lock file: nothing is fetched without a hash.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "headrace needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifneq ($(UV),)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
endif
	@touch $@

$(FEAST_STAMP): benchmarks/feast/requirements.lock
	test -x $(FEAST)/bin/python || $(PYTHON) -m venv $(FEAST)
ifneq ($(UV),)
	$(UV) pip install --quiet --python $(FEAST)/bin/python --require-hashes -r $<
else
	$(FEAST)/bin/python -m pip install --quiet --require-hashes -r $<
endif
	@touch $@

$(SPARK_STAMP): benchmarks/stream_peers/spark-requirements.lock benchmarks/stream_peers/spark-jars.xml
	test -x $(SPARK)/bin/python || $(PYTHON) -m venv $(SPARK)
ifneq ($(UV),)
	$(UV) pip install --quiet --python $(SPARK)/bin/python --require-hashes -r $<
else
	$(SPARK)/bin/python -m pip install --quiet --require-hashes -r $<
endif
	mvn -B -q -f benchmarks/stream_peers/spark-jars.xml dependency:copy-dependencies -DincludeScope=runtime \
	  -DoutputDirectory=$(abspath $(SPARK))/jars
	@touch $@

$(BYTEWAX_STAMP): benchmarks/stream_peers/bytewax-requirements.lock
	test -x $(BYTEWAX)/bin/python || $(PYTHON) -m venv $(BYTEWAX)
ifneq ($(UV),)
	$(UV) pip install --quiet --python $(BYTEWAX)/bin/python --require-hashes -r $<
else
	$(BYTEWAX)/bin/python -m pip install --quiet --require-hashes -r $<
endif
	@touch $@
