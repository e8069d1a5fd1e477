# What people type. Each target works in a fresh clone that has Python 3.11 and make.

PYTHON_BIN := .venv/bin
WORKERS ?= 3     # for two cores, since a test waits half of its time for the disk; each has a test database of its own
ARGS ?=          # more for the command, as in: make test ARGS="-k prevention -x"

# Images set it; here it would have each of the product's processes compile all of it at its start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test lint format bench lock notice clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

# A stamp newer than its lock file means that there is nothing to install.
.venv/.installed-%: requirements/%.txt requirements/uv.txt scripts/setup.sh
	@scripts/setup.sh $*

setup: .venv/.installed-run ## .venv with the locked packages

run: setup ## the whole product in one process, with the demo
	$(PYTHON_BIN)/python manage.py serve --demo $(ARGS)

test: .venv/.installed-dev ## the suite (without browser tests: see CONTRIBUTING)
	$(PYTHON_BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.installed-dev ## style, types, architecture, what must not be committed
	$(PYTHON_BIN)/ruff check
	$(PYTHON_BIN)/ruff format --check
	$(PYTHON_BIN)/mypy
	$(PYTHON_BIN)/lint-imports
	$(PYTHON_BIN)/python scripts/check_committed.py
	$(PYTHON_BIN)/python scripts/notice.py --check

format: .venv/.installed-dev ## rewrite to the house style
	$(PYTHON_BIN)/ruff check --fix
	$(PYTHON_BIN)/ruff format

bench: .venv/.installed-dev ## loops per second beside three rivals
	$(PYTHON_BIN)/python manage.py bench loop $(ARGS)

COMPILE = $(PYTHON_BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header $(ARGS)

lock: .venv/.installed-dev ## requirements/*.txt from *.in (newer versions: ARGS=--upgrade)
	$(COMPILE) requirements/run.in -o requirements/run.txt
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) -c requirements/run.txt -c requirements/uv.txt requirements/dev.in -o requirements/dev.txt

notice: .venv/.installed-dev ## NOTICE from the licences of what is installed
	$(PYTHON_BIN)/python scripts/notice.py

clean: ## everything that can be made again; never var/, which is data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
