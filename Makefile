# One command each; every target builds the environment first if it is not there.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEMO ?= demo
# of the two installs of .venv; an environment that is used once need not be compiled: --no-compile
PIP_FLAGS ?=

.PHONY: demo demo-loop test test-slow test-services coverage check dashboard bench lock sbom audit clean

# LOCKED=1 of any target: exactly the files of requirements.lock, by their hashes. It starts from an empty .venv, because pip takes what is already installed unseen;
# it builds within it, because pip's own build environments are filled without hashes; and it resolves nothing, because the lock is whole (`pip check` says so).
ifeq ($(LOCKED),1)
$(STAMP): .venv/.locked
.venv/.locked: pyproject.toml requirements.lock setup.py
	$(PYTHON) -m venv --clear .venv
	grep '^setuptools==' requirements.lock > .venv/setuptools.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r .venv/setuptools.lock
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --no-build-isolation --use-pep517 -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	touch $(STAMP) $@
else
$(STAMP): pyproject.toml constraints.txt setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	rm -f .venv/.locked
	touch $(STAMP)
endif

.venv: $(STAMP)
.PHONY: .venv

# A synthetic cohort with missing modalities and broken files, all the way to a comparison. Exit 3 of `run` says that the broken files are in quarantine.
demo: $(STAMP)
	$(BIN)/mmdiag phantom --out $(DEMO)/cohort --cases 160 --missing 0.2 --broken 5
	$(BIN)/mmdiag run --cohort $(DEMO)/cohort/cohort.toml --workspace $(DEMO)/workspace --explain full --full-for 12 || test $$? -eq 3
	@echo "Open the dashboard: make dashboard"

# The loop: known cases, a model, `mmdiag up`; new cases appear and are scored by the schedule; `mmdiag down`. Some minutes.
demo-loop: $(STAMP)
	$(BIN)/python .ci/demo_loop.py $(BIN)/mmdiag $(DEMO)/loop

dashboard: $(STAMP)
	$(BIN)/mmdiag dashboard --workspace $(DEMO)/workspace

# without bytecode each of the hundreds of processes that the tests start compiles torch anew
PYTEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q
# one process more than there are cores: tests wait for browsers, servers and processes that they kill
PARALLEL := -n $(shell echo $$(( $$(nproc) + 1 ))) --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not slow"

test: $(STAMP)
	$(PYTEST) $(PARALLEL)

# The same tests with every line watched, then the total and what no test enters; `make check` shows that list again.
coverage: $(STAMP)
	$(PYTEST) $(PARALLEL) --cov --cov-report=; status=$$?; $(BIN)/python tests/support/untested.py --write; exit $$status

test-slow: $(STAMP)
	$(PYTEST) -m slow

# Tests against real services. As root on Debian it installs what is missing, without starting it; the tests start their own on free ports.
SERVICES := orthanc orthanc-dicomweb dcmtk
test-services: $(STAMP)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && ! dpkg -s $(SERVICES) > /dev/null 2>&1; then \
		policy=/usr/sbin/policy-rc.d; \
		if [ ! -e $$policy ]; then trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' > $$policy; chmod +x $$policy; fi; \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(SERVICES); \
	fi
	$(PYTEST) -m services

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python tests/support/untested.py

# What is resolved here today by constraints.txt, for this Python and platform; look at what changed before you commit it.
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet --dry-run --ignore-installed --report .venv/resolved.json -c constraints.txt torch==2.13.0 '.[dev]'
	$(BIN)/python .ci/lock.py < .venv/resolved.json > .venv/requirements.lock
	mv .venv/requirements.lock requirements.lock

# Programs that look at what we install, apart from it.
TOOLS := .venv/tools
$(TOOLS)/.installed: $(STAMP)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet cyclonedx-bom==7.5.0 pip-audit==2.10.1
	touch $@

# The bill of materials, CycloneDX in JSON: what .venv holds, with versions and licences. It asks nobody.
sbom: $(TOOLS)/.installed
	$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json

# Known vulnerabilities of what requirements.lock names: it asks the index's database of advisories, and fails where that does not answer.
audit: $(TOOLS)/.installed
	@$(BIN)/python .ci/audit.py $(TOOLS)/bin/pip-audit requirements.lock

bench: $(STAMP)
	@for file in $$(grep -l __main__ benchmarks/*.py); do echo "$$file"; $(BIN)/python "$$file" || exit 1; done

clean:
	rm -rf $(DEMO) workspace build dist sbom.json *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* .untested
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
