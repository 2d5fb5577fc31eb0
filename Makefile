# What a developer does here. Needs GNU make and Python 3.11 or later; uses uv where it is installed.
#
# PYTHON=python3.13 chooses the interpreter; ARGS="…" passes on to test, mutants, bench, demo, image and lock.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PYTHON ?=
ARGS ?=
RUN = $(BIN)/python

# Without compiled files, every program that a test starts would compile all of the monitor.
unexport PYTHONDONTWRITEBYTECODE

# $(call install,ARGUMENTS): what pip install takes, into the virtual environment
ifdef UV
install = "$(UV)" pip install --quiet --python $(BIN)/python $(1)
else
install = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1)
endif

.PHONY: help
help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile \
		| while IFS='|' read -r name text; do printf '  make %-8s  %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: $(VENV)/.runtime ## watch accounts of a simulated Linked API; no token needed, Ctrl-C ends it
	@# Job control keeps Ctrl-C from make, which would report an error; 130 is an interrupted start.
	@[ ! -t 0 ] || set -m; $(BIN)/python -m monitor demo $(ARGS) || [ $$? -eq 130 ]

# Pictures of mails need 160 MB more: only where they were asked for, and where a skipped test is a failure.
.PHONY: test
test: $(VENV)/.dev $(if $(CI),$(VENV)/.pictures) ## run the tests: make test ARGS="-m 'not slow'"
	@$(RUN) -m pytest --numprocesses auto --dist worksteal $(ARGS)

.PHONY: check
check: lint types imports coverage ## what must pass before a merge: all of the four below

.PHONY: lint
lint: $(VENV)/.dev ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

.PHONY: types
types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy

.PHONY: imports
imports: $(VENV)/.dev ## import-linter: the layers
	@$(BIN)/lint-imports --no-logo

.PHONY: coverage
coverage: RUN = $(BIN)/coverage erase && $(BIN)/coverage run
coverage: test ## run the tests; branches of the core 100 %, of everything 90 %
	@$(BIN)/coverage combine --quiet
	@status=0; \
	$(BIN)/coverage report --include='monitor/core/*' --fail-under=100 || status=$$?; \
	$(BIN)/coverage report --fail-under=90 || status=$$?; \
	exit $$status

.PHONY: mutants
mutants: $(VENV)/.dev ## change the program here and there: what does no test notice? ARGS="--count 300 --seed 7"
	@$(BIN)/python -m tests.mutants $(ARGS)

.PHONY: pictures
pictures: $(VENV)/.pictures ## draw the mails as a browser shows them, into build/pictures; needs chromium
	@PICTURES=build/pictures $(RUN) -m pytest --quiet tests/pictures
	@echo 'The pictures are in build/pictures'

.PHONY: bench
bench: $(VENV)/.dev ## measure what the monitor costs: make bench ARGS="--quick metrics"
	@$(BIN)/python -m bench $(ARGS)

.PHONY: format
format: $(VENV)/.dev ## mend what ruff can mend
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

# The environment is made once. A changed lock updates it, a Python that went away or `make clean` starts over.
$(shell [ -x $(BIN)/python ] || rm -f $(VENV)/.runtime $(VENV)/.dev $(VENV)/.pictures)

$(BIN)/python:
	@echo 'Making $(VENV) (once; packages come over the network)'
ifdef UV
	@"$(UV)" venv --quiet --clear --python "$(or $(PYTHON),>=3.11)" $(VENV)
else
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python -m venv --clear $(VENV); \
		fi; \
	done; \
	echo 'No Python 3.11 or later with its venv module was found; tried' \
		'$(or $(PYTHON),python3 and python3.11 to python3.14).' >&2; \
	echo 'Debian and Ubuntu: apt-get install python3-venv. Elsewhere: make PYTHON=/path/to/python3 …' >&2; \
	exit 1
endif

$(VENV)/.runtime: requirements.lock $(BIN)/python
ifndef UV
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
endif
	@$(call install,--require-hashes -r requirements.lock)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml $(VENV)/.runtime
	@$(call install,--require-hashes -r requirements-dev.lock)
	@$(call install,--no-build-isolation --no-deps --editable .)
	@touch $@

$(VENV)/.pictures: requirements-pictures.lock $(VENV)/.dev
	@$(call install,--require-hashes -r requirements-pictures.lock)
	@touch $@

# Locks are for every Python and platform we support and name no package index. Versions stay as they
# are unless pyproject.toml excludes them or ARGS=--upgrade.
COMPILE = "$(UV)" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(ARGS)

.PHONY: lock
lock: ## write the locks from pyproject.toml; ARGS=--upgrade takes newer versions
ifndef UV
	@echo 'make lock needs uv: pip install uv' >&2; exit 1
else
	@$(COMPILE) pyproject.toml --extra postgres -o requirements.lock
	@$(COMPILE) pyproject.toml --extra postgres --group dev -c requirements.lock -o requirements-dev.lock
	@$(COMPILE) --group build -c requirements-dev.lock -o requirements-build.lock
	@$(COMPILE) --group pictures -c requirements-dev.lock -o requirements-pictures.lock
endif

.PHONY: image
image: ## build the container image; ENGINE=podman, IMAGE=name, BASE=python@sha256:… and ARGS="…" change how
	@deploy/image $(ARGS)

.PHONY: release
release: ## check, build and tag a release here, and publish nothing: make release VERSION=0.2.0
	@deploy/release $(VERSION) $(ARGS)

.PHONY: clean
clean: ## remove what make made: the environment, caches, coverage data
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .mutants_cache .hypothesis .coverage .coverage.* build dist
	@find monitor tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
