# Everything that is done with this tree, by a person or by CI. `make help` lists it.
# Needs nothing but GNU make, git and Python 3.11 or newer; every target makes what it needs inside .venv, once.

PYTHONS = $(PYTHON) python3.13 python3.12 python3.11 python3 python
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check -qq
COMPILE = CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(if $(UPGRADE),--upgrade)
WORKERS = auto
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-quick n8n n8n-install reliability coverage lint format types imports audit docker-lint check bench install wheel lock clean

help: ## List what can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)$$/  make \1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '%-20s %s\n' "$$target" "$$text"; done

demo: .venv/run.made ## Deliver sample documents into sandboxes on this machine; KEEP=1 leaves it all running
	@$(BIN)/numora-bridge demo $(if $(KEEP),--keep)

test: .venv/test.made ## Run every test that this machine can run, and say what was left out; ARGS='-k words' for some
	@$(PYTEST) $(ARGS)

test-quick: .venv/test.made ## Run the tests that take seconds
	@$(PYTEST) -m 'not (crash or kill or soak or install or n8n)' $(ARGS)

n8n: .venv/test.made ## Run the tests with a real n8n, which is installed the first time
	@$(BIN)/python -m pytest -m n8n $(ARGS)

n8n-install: .venv/test.made ## Install the n8n that the tests use, ahead of them
	@$(BIN)/python tests/n8n/n8n_installation.py

reliability: .venv/test.made ## Run the reliability suites alone, and write their counts into docs/reliability.md
	@$(BIN)/python -m tests.reliability.report $(ARGS)

coverage: .venv/test.made ## Run the quick tests and show which lines they never reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -m 'not (crash or kill or soak or install or n8n)' $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: .venv/quality.made ## Check code style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: .venv/quality.made ## Format the code and mend what can be mended without thought
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

types: .venv/quality.made .venv/test.made ## Check the types
	@$(BIN)/mypy

imports: .venv/test.made ## Check which package may import which
	@$(BIN)/lint-imports --no-logo

audit: .venv/quality.made ## Look for known vulnerabilities in what the service runs on
	@$(BIN)/python .ci/audit.py

docker-lint: .venv/quality.made ## Check Dockerfile, compose file and shell scripts
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	@$(BIN)/shellcheck .ci/run
	@echo 'Dockerfile, compose.yaml and .ci/run are fine.'

check: lint types imports docker-lint audit test ## Do all of the above checks, then the tests

bench: .venv/run.made ## Measure documents per second, processor time and memory against a bare client
	@$(BIN)/python -m bench $(ARGS)

install: .venv/quality.made .venv/test.made ## Make .venv with everything in it

wheel: .venv/run.made ## Build the package into dist/
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

lock: .venv/quality.made ## Pin what requirements/*.in ask for; UPGRADE=1 takes the newest versions
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo 'The locks are made with the oldest Python that is served, 3.11: make clean lock PYTHON=python3.11' >&2; exit 1; }
	@$(COMPILE) --output-file requirements/build.txt requirements/build.in
	@$(COMPILE) --output-file requirements/run.txt requirements/run.in
	@$(COMPILE) --constraint requirements/run.txt --output-file requirements/test.txt requirements/test.in
	@$(COMPILE) --constraint requirements/run.txt --constraint requirements/test.txt \
		--output-file requirements/quality.txt requirements/quality.in
	@echo 'The locks are up to date.'

clean: ## Remove .venv and everything that was built
	@rm -rf .venv build dist .coverage .coverage.* *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# A stamp is written last, so that work that was cut short is done again.
.venv/made:
	@for python in $(PYTHONS); do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "Making .venv with $$("$$python" --version) ..."; \
			"$$python" -m venv --clear .venv && touch $@; exit $$?; \
		fi; \
	done; \
	echo 'No Python 3.11 or newer that can make virtual environments was found.' >&2; \
	echo 'Install one (Debian, Ubuntu: apt install python3 python3-venv) or name it: make PYTHON=/path/to/python3' >&2; \
	exit 1

.venv/run.made: requirements/build.txt requirements/run.txt pyproject.toml | .venv/made
	@echo 'Installing what the service needs, as pinned in requirements/run.txt ...'
	@$(PIP) install -r requirements/build.txt -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/test.made: requirements/test.txt requirements/retab-sdk.txt .venv/run.made
	@echo 'Installing what the tests need, as pinned in requirements/test.txt ...'
	@$(PIP) install -r requirements/test.txt
	@$(PIP) install --no-deps -r requirements/retab-sdk.txt
	@touch $@

.venv/quality.made: requirements/quality.txt .venv/run.made
	@echo 'Installing the checkers, as pinned in requirements/quality.txt ...'
	@$(PIP) install -r requirements/quality.txt
	@touch $@
