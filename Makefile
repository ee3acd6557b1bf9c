# Two commands: `make demo` sets everything up and runs the main job; `make test` sets everything up and tests.
PYTHON ?= python3.11
# A CPU-only torch (200 MB instead of several GB): make install TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: install demo test lint types dev bench-spark bench-training bench-fixed-cost bench-faults clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or say make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --index-url $(TORCH_INDEX) $$(grep -E '^(torch|torchvision)==' constraints.txt))
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m spark_jobs.session 2>/dev/null || true  # keeps Spark's Java classes: runs start 4 s sooner
	@touch $@

demo: install
	$(BIN)/mora demo

test: install lint types
	MORA_SPARK_CLASSES=.pytest_cache/spark $(BIN)/python -m spark_jobs.session
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: install
	$(BIN)/mypy

dev: install
	$(BIN)/mora dev

# Rows to measure with, and further options: make bench-spark SIZE=1B ARGS='--part sampling'
SIZE ?= 10M
ARGS ?=
bench-spark: install
	$(BIN)/python -m benchmarks.spark --size $(SIZE) $(ARGS)

# make bench-training ARGS='--batch 8192' on a machine with less than 20 GB of memory
bench-training: install
	$(BIN)/python -m benchmarks.training $(ARGS)

# Processes, imports and Java of a run, as they were and as they are
bench-fixed-cost: install
	$(BIN)/python -m benchmarks.fixed_cost $(ARGS)

# 200 runs of a tiny region are killed: make bench-faults ARGS='--kills 20 --kinds tree,disk'
bench-faults: install
	$(BIN)/python -m benchmarks.faults $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build
