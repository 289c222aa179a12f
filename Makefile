PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install test check
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "recbole_lpi needs Python 3.10 to 3.13 as '$(PYTHON)' (set PYTHON=python3.11)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	touch $@

test: install
	$(BIN)/pytest

check: install
	$(BIN)/ruff format --check recbole_lpi tests
	$(BIN)/ruff check recbole_lpi tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest
