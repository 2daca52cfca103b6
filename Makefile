# make reproduce   install into .venv and run the main job: runs/reproduce/report.html
# make studio      install into .venv and open the live page
# make test        install into .venv and run the whole test suite, then lint and docs
# make check       lint, and the fast half of the tests: before a commit
# make lint        style, types and the direction of imports
# make docs        the documentation site in docs/_build/html, warnings as errors
# make bench       the figures of the documentation (long; see benchmarks/README.md)
# make notebooks   run docs/notebooks/*.py anew and write them with their outputs (*.ipynb)
# make release     sdist and wheel, built, installed in empty environments and tried
# make matrix      the core of the tests with oldest and newest versions and every Python here

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := pyproject.toml constraints.txt

.PHONY: reproduce studio test check lint docs bench notebooks release matrix clean

reproduce: $(VENV)/.installed
	$(BIN)/thermogen reproduce --resume $(ARGS)

studio: $(VENV)/.installed-studio
	$(BIN)/thermogen studio $(ARGS)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(ARGS)
	$(MAKE) lint
	$(MAKE) docs

check: $(VENV)/.installed-test
	$(MAKE) lint
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

docs: $(VENV)/.installed-test
	$(BIN)/sphinx-build -q -W --keep-going -j auto docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks

notebooks: $(VENV)/.installed-test
	$(BIN)/python scripts/make_notebooks.py $(ARGS)

release: $(VENV)/.installed-test
	$(BIN)/python scripts/smoke_release.py $(ARGS)

matrix: $(VENV)/.installed-test
	$(BIN)/python scripts/matrix.py $(ARGS)

$(VENV)/.installed: $(SETUP)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "thermogen needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-studio: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[studio]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .ruff_cache .import_linter_cache .hypothesis
