# Accord: the commands of daily work. `make` alone lists them.
VENV  := .venv
STAMP := $(VENV)/.installed
BIN   := $(VENV)/bin
RUNS  := runs
JOBS  ?= 2
SEEDS ?= 10

# The first of these that is Python 3.11 or 3.10 (PyBullet has wheels for those only); else any from 3.10 on.
# Give your own with: make run PYTHON=/path/to/python
CANDIDATES := $(PYTHON) python3.11 python3.10 python3 \
  $(wildcard $(HOME)/.pyenv/versions/3.11.*/bin/python $(HOME)/.pyenv/versions/3.10.*/bin/python) python

.DEFAULT_GOAL := help
.PHONY: help run test check soak bench venv clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMP) ## eight vehicles cross the built-in four-way junction in PyBullet; report in runs/four_way
	$(BIN)/fleet run four_way --out $(RUNS)/four_way

test: check ## checks, all tests, then 2,000 seeds of faults on the protocol
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -q
	$(BIN)/fleet soak --seeds 1..2000 --workers $(JOBS)

check: $(STAMP) ## lint, strict types, tidiness
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_tidy.py

soak: $(STAMP) ## faults on the protocol, long tests, then seeds 1..SEEDS of the lossy junction; stops at the first that fails
	$(BIN)/fleet soak --seeds 1..8000 --profile nightly --workers $(JOBS) --resume $(RUNS)/soak/nightly.jsonl
	$(BIN)/fleet soak --seeds 1..100000 --profile byzantine --workers $(JOBS) --resume $(RUNS)/soak/byzantine.jsonl
	$(BIN)/fleet soak --seeds 1..100 --profile nightly --variants 10 --workers $(JOBS)
	$(BIN)/fleet soak --model 1000000 --workers $(JOBS)
	$(BIN)/fleet soak --world kinematic --seeds 1..20
	$(BIN)/fleet soak --world bullet --seeds 1..3
	$(BIN)/python -m pytest -q -n $(JOBS) -m soak
	@for seed in $$(seq 1 $(SEEDS)); do \
	  set -- $(BIN)/fleet run four_way_burst_loss --world kinematic --seed $$seed --no-mcap --quiet --out $(RUNS)/soak/seed$$seed; \
	  "$$@" || { echo "seed $$seed failed; again with: $$*"; exit 3; }; \
	  echo "seed $$seed of $(SEEDS): fine"; \
	done

bench: $(STAMP) ## speed of this machine; the common workload, agreement against the all-way stop, and a page that compares them
	$(BIN)/fleet bench speed
	$(BIN)/fleet run four_way_300vph --planner first_come --no-mcap --out $(RUNS)/bench/first_come
	-$(BIN)/fleet run four_way_300vph --planner all_way_stop --no-mcap --out $(RUNS)/bench/all_way_stop
	$(BIN)/fleet report $(RUNS)/bench/first_come $(RUNS)/bench/all_way_stop --out $(RUNS)/bench/compare.html

venv: $(STAMP)

# Installed anew only when what is to be installed changed.
$(STAMP): pyproject.toml constraints.txt
	@python=; any=; \
	for name in $(CANDIDATES); do \
	  "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || continue; \
	  any="$${any:-$$name}"; \
	  if [ -n "$(PYTHON)" ] || "$$name" -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then python="$$name"; break; fi; \
	done; \
	if [ -z "$$python" ] && [ -n "$$any" ]; then \
	  python="$$any"; \
	  echo "No Python 3.10 or 3.11 here: PyBullet is left out. The kinematic world works: fleet run four_way --world kinematic"; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "No Python from 3.10 on. On Debian or Ubuntu: sudo apt-get install python3 python3-venv"; exit 2; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "Python has no venv module. On Debian or Ubuntu: sudo apt-get install python$$version-venv"; exit 2; \
	fi; \
	"$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[commonroad,dev,ros]' \
	  || { echo "Extra ros could not be installed here: without it"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[commonroad,dev]'; }
	@touch $@

clean: ## remove the environment, runs and caches
	rm -rf $(VENV) $(RUNS) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
