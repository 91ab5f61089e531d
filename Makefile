# `make look` shows a planner, `make play` lets you drive, `make demo` trains one, `make test` runs the
# tests. All create .venv once, from pinned versions, and reuse it.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3 || echo python3)
# Torch, CARLA's library and numba have wheels for these two alone
CHECK_PYTHON = $(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 12) else \
  "error: Python 3.11 or 3.12 is needed, $(PYTHON) is %d.%d: install one, or name it with make ... PYTHON=PATH" % v)'
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV_READY := $(VENV)/.ready-dev
# Of pip for torch alone: Linux gets gigabytes of CUDA from PyPI, the CPU build is at
# https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
TORCH_FROM = $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
DOCS_READY := $(VENV)/.ready-docs
DEMO_OUT ?= outputs/demo

# The devkit needs an older numpy, so its parity tests have an environment of their own
NUPLAN_VENV ?= .venv-nuplan
NUPLAN_READY := $(NUPLAN_VENV)/.ready
DEVKIT_VERSION := 1.2.2
# Not pinned there: the devkit needs numpy below 2.4, what it imports needs dateutil below 3
NUPLAN_FREE := numpy|python-dateutil

.PHONY: look play demo docs test test-slow test-nuplan find-devkit lint format setup speed pictures
.PHONY: clean clean-cache

look: $(READY)
	$(BIN)/python -m evaluation.look

play: $(READY)
	$(BIN)/python -m evaluation.play

demo: $(READY)
	$(BIN)/python -m evaluation.demo output=$(DEMO_OUT)

# Two processes, a test file at a time; `.venv/bin/python -m pytest FILE` runs one file in one.
# A tree that is broken all over ends after a few dozen failures and says which. A process that is
# lost is not replaced: xdist would wait for ever for the rest of its file.
test: $(DEV_READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0 --maxfail 30

test-slow: $(DEV_READY)
	$(BIN)/python -m pytest -m slow

# make test-nuplan NUPLAN_DEVKIT_ROOT=PATH: every parity test against the devkit, none skipped
test-nuplan: find-devkit $(NUPLAN_READY)
	PYTHONPATH=$(NUPLAN_DEVKIT_ROOT) $(NUPLAN_VENV)/bin/python -m pytest -m nuplan --no-skips

find-devkit:
	@test -f "$(NUPLAN_DEVKIT_ROOT)/nuplan/planning/script/run_simulation.py" || { \
	  echo 'NUPLAN_DEVKIT_ROOT is "$(NUPLAN_DEVKIT_ROOT)", which holds no nuplan-devkit:'; \
	  echo '  git clone https://github.com/motional/nuplan-devkit'; \
	  echo '  make test-nuplan NUPLAN_DEVKIT_ROOT=$$PWD/nuplan-devkit'; exit 1; }
	@found=$$(sed -n "s/.*version='\([^']*\)'.*/\1/p" "$(NUPLAN_DEVKIT_ROOT)/setup.py"); \
	  echo "nuplan-devkit $$found in $(NUPLAN_DEVKIT_ROOT)"; \
	  test "$$found" = $(DEVKIT_VERSION) || \
	  echo "the tests were written against $(DEVKIT_VERSION): differences may be the devkit's"

lint: $(DEV_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(DEV_READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

speed: $(READY)
	$(BIN)/python -m evaluation.speed

# Pictures of docs/images, in a headless Chromium
pictures: $(READY)
	$(BIN)/python -m evaluation.pictures

# The pages as a site, in site/; a warning is an error
docs: $(DOCS_READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open site/index.html, or with a search: $(BIN)/python -m http.server --directory site"

setup: $(DEV_READY)

# torch first and alone: any other request for it would ask PyPI.
# py123d without its dependencies: only its map files are read, it is never imported.
$(READY): pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt $(TORCH_FROM) torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	$(BIN)/python -m pip install --quiet --no-deps py123d==0.7.0
	touch $(READY)

$(DEV_READY): $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $(DEV_READY)

$(DOCS_READY): $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	touch $(DOCS_READY)

$(NUPLAN_READY): pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	test -x $(NUPLAN_VENV)/bin/python || $(PYTHON) -m venv $(NUPLAN_VENV)
	grep -vE '^($(NUPLAN_FREE))==' constraints.txt > $(NUPLAN_VENV)/constraints.txt
	$(NUPLAN_VENV)/bin/python -m pip install --quiet -c $(NUPLAN_VENV)/constraints.txt $(TORCH_FROM) torch
	$(NUPLAN_VENV)/bin/python -m pip install --quiet -c $(NUPLAN_VENV)/constraints.txt -e ".[dev,nuplan]"
	$(NUPLAN_VENV)/bin/python -m pip install --quiet --no-deps py123d==0.7.0
	touch $(NUPLAN_READY)

clean:
	rm -rf $(VENV) $(NUPLAN_VENV) outputs build dist site *.egg-info

# Compiled kernels and read maps, the only files that are written outside this folder
clean-cache: $(READY)
	$(BIN)/python -c 'import shutil; from sim_adapters.kernel_cache import cache_root as root; shutil.rmtree(root(), ignore_errors=True); print("removed", root())'
