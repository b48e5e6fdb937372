# make run    the demo company through the whole job
# make test   everything a change must pass; make test-full runs the promised counts
# make lint   style, types, and the direction of imports
# make bench  times and peak memory, never part of the tests

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
OUT ?= capacity-demo
# Test processes: one more than a small machine has cores, since much of the time browsers and servers are waited for.
JOBS ?= 3

.PHONY: run app test test-full lint bench wheel wheel-check fixtures constraints clean

$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e .
	touch $@

# One install, unless what runs is asked for beside it. Modules are compiled when they are first imported: a sixth of
# what is installed ever is.
$(VENV)/.dev: pyproject.toml constraints.txt $(if $(filter run app,$(MAKECMDGOALS)),$(VENV)/.run)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --no-compile -c constraints.txt -e '.[dev]'
	touch $(VENV)/.run $@

run: $(VENV)/.run
	$(BIN)/capacity demo --out $(OUT)

app: $(VENV)/.run
	$(BIN)/capacity app --plans $(OUT)

# As root on Debian what tests drive is installed: a browser, and promtool (of the package prometheus). Elsewhere they
# skip and say so.
.PHONY: browser
browser:
	@missing=; command -v chromium >/dev/null 2>&1 || missing="chromium fonts-dejavu-core"; \
	command -v promtool >/dev/null 2>&1 || missing="$$missing prometheus"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

# Groups of tests are those of tests/conftest.py. A thread of linear algebra a process: more would wait for each other.
# Modules are compiled once, whatever the machine's habit: the tests start hundreds of processes that import them.
PYTEST := PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

test: $(VENV)/.dev browser
	$(PYTEST)

test-full: $(VENV)/.dev browser
	CAPACITY_TEST_PROFILE=full $(PYTEST)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m bench

wheel: $(VENV)/.dev
	rm -rf dist
	$(PIP) wheel -w dist --no-deps --no-build-isolation .

# The wheel in a bare environment, outside the checkout; its demo is left in CAPACITY_DEMO where that names a folder.
wheel-check:
	bash tests/packaging/try_wheel.sh . $(PYTHON)

fixtures: $(VENV)/.dev
	$(BIN)/python -m fixtures.generate --out fixtures/data

clean:
	rm -rf $(VENV) dist build capacity-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
