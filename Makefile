# `make demo` and `make test` set up what they need; VAD_HOME keeps the weights (default ~/.cache/vad).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-lowest coverage lint docs wheel clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: setup
	$(BIN)/vad demo --out demo

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal

# The lower bounds that pyproject.toml states, in an environment of their own.
test-lowest:
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet -r requirements-lowest.txt --editable ".[dev]"
	.venv-lowest/bin/python -m pytest -n auto

coverage: setup
	$(BIN)/python -m pytest -n auto --cov=vad_toolkit --cov=vad_cli --cov-report=term:skip-covered

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python .ci/check_language.py

# The pages that are made from the code.
docs: setup
	$(BIN)/python .ci/reference_pages.py commands > docs/commands.md
	$(BIN)/python .ci/reference_pages.py api > docs/api.md

wheel: setup
	rm -rf build dist
	$(BIN)/python -m build

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
