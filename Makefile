# What a person does with a clone of medvol. `make demo` and `make test` install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
OUT ?= demo_output
# Tests on real images run where this folder exists; elsewhere they skip.
TEST_DATA := $(wildcard $(CURDIR)/../shared/data)
export MEDVOL_TEST_DATA ?= $(TEST_DATA)

PAGE := medvol/server/page
PORT ?= 8000

.PHONY: demo serve page test test-slow judges lint bench wheel ohif clean

demo: $(INSTALLED)
	$(BIN)/medvol demo $(OUT)

serve: $(INSTALLED) page
	$(BIN)/medvol serve --port $(PORT) $(ARGS)

# NiiVue, the viewer of volumes, by the lock file. Without npm the page shows pictures only.
page:
	@command -v npm >/dev/null && $(MAKE) --no-print-directory $(PAGE)/vendor/niivue.js \
		|| echo "npm is missing or failed: the page goes without its viewer of volumes"

$(PAGE)/vendor/niivue.js: $(PAGE)/package-lock.json $(PAGE)/vendor.js
	cd $(PAGE) && npm ci --ignore-scripts --no-audit --no-fund && node vendor.js

# One thread a worker: more of them than cores wait for each other, and take five times as long.
# Each worker takes one half of the tests, then of the other's, so that few fixtures are made twice.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal $(ARGS)

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow $(ARGS)

# Other programs that take bundles, each in an environment of its own below .judges.
judges: $(INSTALLED)
	PYTHON=$(BIN)/python scripts/judges.sh $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A prediction first, then growth and processes, then the rest: about an hour on two cores, alone on
# the machine. Figures as JSON and pictures go to bench/.
BENCHES := $(addprefix scripts/bench_,engine.py growth.py process.py)
bench: $(INSTALLED)
	for script in $(BENCHES) $(filter-out $(BENCHES),$(wildcard scripts/bench_*.py)); do \
		echo; echo "$$script"; $(BIN)/python $$script || exit 1; \
	done

wheel: $(INSTALLED) page
	$(BIN)/python -m build --wheel --no-isolation

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# The viewer behind `medvol serve --ohif`: one package of npm, of which nothing is run; 200 MB.
ohif:
	npm ci --prefix medvol/server/ohif --ignore-scripts --no-audit --no-fund

clean:
	rm -rf $(VENV) build dist demo_output .pytest_cache .mypy_cache .ruff_cache
