# Each target sets up what it needs: a virtual environment in .venv, the pulumi CLI in .cache.

PYTHON ?= python3
SECONDS ?= 60
MINUTES ?= 20
READY := .venv/.ready
KERBEROS := .venv/.kerberos
PYENV := $(wildcard $(HOME)/.pyenv/versions/*/bin)
empty :=
# One process for each processor. Tests that share something expensive, such as the built packages, share a process.
PARALLEL := python -m pytest -n auto --dist loadgroup
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo test oldest record tools unit fuzz faults soak check browser lint prose pythons docs sdk examples dist \
	pins bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

demo: $(READY) ## run the quickstart against the simulator, from preview to destroy
	tools/pulumi-cli >/dev/null
	python tools/demo.py

examples: $(READY) ## run the commands in the README of each example
	tools/pulumi-cli >/dev/null
	python tools/examples.py

test: lint pythons tools ## everything: lint, all Pythons, other WinRM clients, the SDKs, the real engine
	$(PARALLEL)

oldest: $(READY) ## the lifecycle and the recordings with the oldest promised Pulumi engine (builds it with Go, once)
	PATH="$$(tools/pulumi-cli oldest):$(PATH)" python -m pytest -q tests/e2e/test_lifecycle.py tests/upgrade

record: $(READY) ## record state and calls of this version, for the tests of later versions
	cd tests && PYTHONPATH=.:../tools python -m upgrade

tools: browser $(KERBEROS) ## download and build everything that the tests need
	tools/pulumi-cli >/dev/null
	tools/foreign-clients >/dev/null
	tools/typescript
	tools/go-modules
	tools/wheels

unit: $(READY) ## the unit tests, without sockets
	python -m pytest -q tests/unit

fuzz: $(READY) ## altered messages for each parser, SECONDS each
	PYTHONPATH=tests python -W error -m fuzz $(SECONDS)

faults: $(READY) ## each fault at each request of each operation, with a table
	PYTHONPATH=tests:tools:. python -m faults

check: lint browser $(KERBEROS) ## lint, and all tests that need no Pulumi engine
	$(PARALLEL) --cov --cov-report= -m "not engine"

browser: ## Chromium, for the tests of the page of `avma report`
	tools/chromium

lint: $(READY) ## ruff, mypy for each system, import-linter, and the measures of the prose
	ruff check
	ruff format --check
	mypy
	mypy --platform win32 --cache-dir .mypy_cache/win32
	mypy --platform darwin --cache-dir .mypy_cache/darwin
	lint-imports
	python tools/prose.py

prose: $(READY) ## measure the pages and docstrings, and print the worst sentences
	python tools/prose.py

pythons: $(READY) ## the unit tests on each installed Python from 3.10 to 3.14, more on the oldest and newest
	PATH="$(PATH):$(subst $(empty) ,:,$(PYENV))" nox

docs: $(READY) ## generate schema.json, the examples in it in each language (needs Go), and pages of docs/
	tools/pulumi-cli >/dev/null
	python tools/package_schema.py > schema.json.new && mv schema.json.new schema.json
	python tools/programs.py
	python tools/package_schema.py > schema.json.new && mv schema.json.new schema.json
	python tools/reference.py
	python tools/rights.py > docs/rights.md
	python tools/not_verified.py > docs/not-verified.md
	python tools/troubleshooting.py > docs/troubleshooting.md

soak: $(READY) ## random runs against a model, with faults and kills, MINUTES=n (needs Go)
	tools/pulumi-cli >/dev/null
	PYTHONPATH=.:tests:tools python -W error -m soak $(MINUTES)

bench: $(READY) ## measure the speed, print the table, and write benchmarks/results (about ten minutes, needs Go)
	tools/pulumi-cli >/dev/null
	python -m benchmarks --save

dist: $(READY) ## build the packages into dist/: wheels, the npm package, the archive of the plugin
	tools/typescript
	PYTHONPATH=tools python tools/packages.py dist

sdk: ## generate the SDKs in sdk/ from schema.json (needs Go)
	tools/codegen sdks sdk

pins: ## resolve the pinned dependencies again (needs uv)
	uv pip compile --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --extra simulator --extra credssp --group dev pyproject.toml -o tools/requirements.txt
	echo 'pyspnego[kerberos]' | uv pip compile - --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header -c tools/requirements.txt \
		-o tools/requirements-kerberos.txt
	uv pip compile --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header tools/foreign/requirements.in -o tools/foreign/requirements.txt
	npm install --prefix tools/foreign --package-lock-only --omit-lockfile-registry-resolved
	npm install --prefix tests/sdk/programs/nodejs --package-lock-only --omit-lockfile-registry-resolved

clean:
	rm -rf .venv .nox .cache dist

# Apart, as it installs packages of Debian and builds for minutes, which a demo needs not.
$(KERBEROS): $(READY) tools/requirements-kerberos.txt tools/kerberos
	tools/kerberos
	touch $@

$(READY): tools/requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("needs Python 3.10 or newer") if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv .venv
	pip install --quiet --require-hashes -r tools/requirements.txt
	pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
