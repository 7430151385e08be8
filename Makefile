# `make demo` sets up and runs the main job on data that ships with a dependency; `make test` proves the code.
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

# Processes that share the tests: one per core, at most 8; each keeps to one thread.
WORKERS ?= auto

.PHONY: demo test lint site notebooks check clean
.DEFAULT_GOAL := demo

# Three points: with 400 validation images less can hardly be shown.
demo: $(STAMP)
	$(VENV)/bin/spikeport run --tolerance 3 --out runs/demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# The documentation as a site, from this repository alone; any warning is an error.
site: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict --site-dir build/site

# The examples as executed notebooks (docs/notebooks), some five minutes.
notebooks: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) .ci/notebooks.py

check: lint test site

# uv if present, else pyenv's or the system's Python 3.10: Lava imports on nothing newer.
$(STAMP): pyproject.toml
	@sh .ci/make-venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev,snntorch]'
	@touch $@

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
