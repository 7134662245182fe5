# The two commands that anyone needs: `make demo` and `make test`. Both set up everything.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: demo test lint bench docs clean help

help:
	@echo "make demo   set everything up and watch agents share one repository"
	@echo "make test   set everything up and run all tests"
	@echo "make lint   formatting, lint, types, import contracts, generated docs"
	@echo "make bench  the speed table, each figure a ratio taken in one run"
	@echo "make docs   write the generated pages of docs/ anew"

# An environment of its own, so that nothing of the machine is needed but Python 3.11+ and git.
$(STAMP): pyproject.toml bin/rally
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rally needs Python 3.11 or newer; PYTHON=/path/to/python3.11 make …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP)

# Byte code as an installed rally has it, also where the environment forbids writing it on import:
# without it every process of the demo and the tests starts several times more slowly.
.PHONY: bytecode
bytecode: $(STAMP)
	@$(BIN)/python -m compileall -q rally

demo: bytecode
	@$(BIN)/python demo/run.py

# Most of the time a test waits for processes that it has started: two at a time take half as long.
test: bytecode
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m rally.cli.reference --check docs

bench: bytecode
	@$(BIN)/python -m benchmarks

docs: $(STAMP)
	@$(BIN)/python -m rally.cli.reference docs

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
