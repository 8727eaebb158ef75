# `make demo` and `make test` are all a newcomer needs: each sets up .venv first.
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: demo test test-fast lint types imports clean

$(READY): pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)
	rm -rf runs/demo
	$(VENV)/bin/adapterxfer demo --out runs/demo

test: $(READY)
	$(PYTHON) -m pytest

test-fast: $(READY)
	$(PYTHON) -m pytest -m 'not slow'

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

imports: $(READY)
	$(VENV)/bin/lint-imports

clean:
	rm -rf $(VENV) build dist *.egg-info runs
