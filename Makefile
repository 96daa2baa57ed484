# `make demo` and `make test` set up what they need; VAD_HOME keeps the weights (default ~/.cache/vad).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-lowest lint docs clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: setup
	$(BIN)/vad demo --out demo

test: setup
	$(BIN)/python -m pytest -n auto

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m vad_cli.reference > docs/commands.md

# The lower bounds that pyproject.toml states, in an environment of their own.
test-lowest:
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet -r requirements-lowest.txt --editable ".[dev]"
	.venv-lowest/bin/python -m pytest -n auto

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
