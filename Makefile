# Anything with a recipe here works as the first command on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RECBOLE := recbole==1.2.1

.PHONY: install run test check bench docs matrix
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "recbole_lpi needs Python 3.10 to 3.13, and '$(PYTHON)' is another: try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	$(BIN)/pip install -q --no-deps $(RECBOLE)
	@touch $@

run: install
	$(BIN)/python run_recbole_lpi.py --model=LPIRL --dataset=ml-100k

test: install
	$(BIN)/pytest -n auto --dist worksteal

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --dist worksteal

bench: install
	$(BIN)/python benchmarks/step_cost.py

docs: install
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/sphinx-build -q -W docs docs/_build

# The tests over the corners of what is supported; takes an hour and several GB.
matrix: install
	$(BIN)/pip install -q -c constraints.txt -e '.[matrix]'
	$(BIN)/nox
