# Anything with a recipe here works as the first command on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Every release is pinned by lock.txt, so that nothing is searched for; `make lock` renews it.
INSTALL := $(BIN)/python .ci/install.py -c lock.txt
RECBOLE := recbole==1.2.1
QUICK := tests/objectives tests/nn tests/data tests/policy tests/training tests/evaluation tests/simulation \
  tests/serving

.PHONY: install tools run quick test check lock bench docs matrix
install: $(VENV)/.installed
tools: $(VENV)/.tools

$(VENV)/.installed: pyproject.toml lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "recbole_lpi needs Python 3.10 to 3.13, and '$(PYTHON)' is another: try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	$(INSTALL) --no-deps $(RECBOLE)
	@touch $@

$(VENV)/.tools: $(VENV)/.installed
	$(INSTALL) -e '.[test]'
	@touch $@

run: install
	$(BIN)/python run_recbole_lpi.py --model=LPIRL --dataset=ml-100k --logging_policy_seeds=1

# The core's quick tests. It stands without RecBole: importing that fails there.
quick: tools
	$(BIN)/pytest -n auto --dist worksteal --core $(QUICK)

test: tools
	$(BIN)/pytest -n auto --dist worksteal

check: tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=examples/service $(BIN)/mypy examples/service
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --dist worksteal

lock: tools
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --all-extras --upgrade --no-annotate \
	  --custom-compile-command 'make lock' -c constraints.txt pyproject.toml -o lock.txt

bench: tools
	$(BIN)/python benchmarks/step_cost.py

docs: tools
	$(INSTALL) -e '.[docs]'
	$(BIN)/sphinx-build -q -W docs docs/_build

# The tests over the corners of what is supported; takes an hour and several GB.
matrix: tools
	$(INSTALL) -e '.[matrix]'
	$(BIN)/nox
