# Two commands: `make demo` trains and shows a planner, `make test` runs the tests.
# Both create .venv once, from pinned versions, and reuse it.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_OUT ?= outputs/demo

.PHONY: demo test test-slow lint format setup speed clean

demo: $(READY)
	$(BIN)/python -m evaluation.demo output=$(DEMO_OUT)

test: $(READY)
	$(BIN)/python -m pytest

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

speed: $(READY)
	$(BIN)/python -m evaluation.speed

setup: $(READY)

# torch first and alone: any other request for it downloads gigabytes of CUDA packages.
# py123d without its dependencies: only its map files are read, it is never imported.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 12), "Python 3.11 or 3.12 is needed, found " + sys.version'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps py123d==0.7.0
	touch $(READY)

clean:
	rm -rf $(VENV) outputs build dist *.egg-info
