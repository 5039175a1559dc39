# Everything a user or a developer runs. It works in .venv and target/, and leaves the system alone.
# Needed beforehand: Python 3.11 or later, a Rust toolchain, make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the demo is told; for example: make demo DEMO="--instruments 8 --rate 50000"
DEMO ?= --seconds 60
SOURCES := $(shell find rust -name '*.rs' -not -path '*/tests/*' -not -path '*/benches/*') Cargo.toml Cargo.lock \
	rust/core/Cargo.toml rust/py/Cargo.toml pyproject.toml

.PHONY: help demo test lint test-rust test-python interop floors bench long loom format lock clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/built ## an embedded hub, a client and live bars in this terminal
	$(BIN)/tickwire demo $(DEMO)

test: lint test-rust test-python floors ## everything a change must pass; about 15 minutes from nothing

$(VENV)/ready: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tickwire needs Python 3.11 or later; got $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@command -v cargo >/dev/null || { echo "tickwire needs a Rust toolchain; cargo was not found"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Release, because a debug build is many times slower and nobody should measure one.
$(VENV)/built: $(VENV)/ready $(SOURCES)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet
	@touch $@

lint: $(VENV)/built ## formatting, lints, types, and the stub against the compiled module
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(BIN)/ruff format --check python tests benches examples
	$(BIN)/ruff check python tests benches examples
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest tickwire._core

test-rust: ## the core's tests
	cargo test --profile fast --workspace --locked --quiet

test-python: $(VENV)/built ## Python tests, README and docstring examples, examples/
	$(BIN)/python -m pytest -q

# The tests themselves install what a peer needs, in tests/interop, and say why they skip one.
interop: $(VENV)/built ## clients and servers of other makers; needs node and go, else skips theirs
	$(BIN)/python -m pytest -q tests/interop

floors: $(VENV)/built ## the speeds below which nothing is released
	$(BIN)/python -m pytest -q benches/test_floors.py

bench: $(VENV)/built ## against rivals, side by side; prints a table
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benches/requirements.txt
	$(BIN)/python -m benches.run

long: $(VENV)/built loom ## what takes too long for every change: all splits, long threads, 100 M ticks
	TICKWIRE_LONG=1 $(BIN)/python -m pytest -q --timeout 3600
	PROPTEST_CASES=5000 cargo test --profile fast --workspace --locked --quiet

loom: ## models of the lock-free pieces
	RUSTFLAGS="--cfg tickwire_loom" CARGO_TARGET_DIR=target/loom cargo test --profile fast -p tickwire-core --locked \
		--test 'loom_*'

format: $(VENV)/ready ## format all sources
	cargo fmt --all
	$(BIN)/ruff format python tests benches examples
	$(BIN)/ruff check --fix python tests benches examples

lock: $(VENV)/ready ## pin the development dependencies anew
	rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.in
	{ echo "# Made by make lock from requirements-dev.in."; $(VENV)/lock/bin/python -m pip freeze; } > requirements-dev.txt
	rm -rf $(VENV)/lock

clean: ## remove everything that was built here
	rm -rf $(VENV) target python/tickwire/*.so
