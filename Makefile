.DEFAULT_GOAL := help
# The first Python on the PATH that convai runs on; `make PYTHON=...` selects another one.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3,$(shell $(name) -c '$(FITS)' 2>/dev/null && echo $(name))))
PROFILE_OPTION := $(if $(filter command,$(origin PROFILE)),--profile $(PROFILE)) # make talk PROFILE=..., not an environment variable
CORES_OPTION := $(if $(CORES),--cores $(CORES))
CONVAI := .venv/bin/python -m convai
# Not compiled: most of what the packages hold is never imported, and the rest is compiled when it is first.
PIP_INSTALL := .venv/bin/python -m pip install -qq --disable-pip-version-check --no-compile --constraint constraints.txt
INSTALL := $(PIP_INSTALL) --editable
# PyPI's PyTorch brings gigabytes of CUDA.
PYTORCH_FOR_CPUS := --no-deps --retries 1 --timeout 20 --index-url https://download.pytorch.org/whl/cpu torch
EXAMPLE := convai/client/examples
# Without another try after a crash: xdist would run the same test again and again, and then wait for ever.
PYTEST_PROCESSES := --max-worker-restart 0 --dist loadfile
# One file after another in each process, in this order: the wheel, which takes longest, must not come last.
# Nicer than the browser beside it, whose tests wait for what is said aloud.
PYTEST_SIDE_BY_SIDE := nice .venv/bin/python -m pytest --numprocesses logical --maxprocesses 4 $(PYTEST_PROCESSES) --no-loadscope-reorder
# These mostly wait for servers to start and to stop; each process starts the one that its files share, of 2 GB.
PYTEST_SERVER := .venv/bin/python -m pytest --numprocesses 2 $(PYTEST_PROCESSES)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/talk-installed ## create .venv with everything pinned; a second run reuses it

demo: export ## ask the example question: starts the server, writes answer.wav and answer.png, stops it
	$(CONVAI) demo

test: export .venv/test-installed ## run every test against a real Triton server
	$(MAKE) --no-print-directory --jobs 2 --output-sync test-browser test-no-server test-page
	$(PYTEST_SERVER) tests/server

test-browser:
	.venv/bin/python -m pytest tests/browser

test-no-server:
	$(PYTEST_SIDE_BY_SIDE) tests/wheel tests/deploy tests/unit tests/training

test-page: ## run the tests of the page's scripts, which need Node 20 or later and nothing else
	@if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; \
	then node --test tests/page/*.test.js; \
	else echo "Node 20 or later is not installed; the tests of the page's scripts are skipped"; fi

test-fast: .venv/test-installed ## run the tests that need no server and train nothing
	$(PYTEST_SIDE_BY_SIDE) tests/unit

export: .venv/installed ## export the default networks into the model repository
	$(CONVAI) generate --profile all $(CORES_OPTION) >/dev/null & $(CONVAI) export && wait $$!

serve: setup export ## start the server in the foreground; Ctrl-C stops it
	$(CONVAI) serve $(PROFILE_OPTION)

ask: setup ## ask the running server the example question
	$(CONVAI) ask $(EXAMPLE)/question.wav --context $(EXAMPLE)/context.txt --out answer.wav --plot answer.png

talk: setup export ## open a page to talk to, at http://127.0.0.1:8080; starts the server beside it
	$(CONVAI) talk $(PROFILE_OPTION)

generate: setup ## write the configurations of every profile; CORES=16 for a machine with 16 cores
	$(CONVAI) generate --profile all $(CORES_OPTION)

check: setup ## check that the committed configurations are up to date and wired correctly
	$(CONVAI) generate --check $(CORES_OPTION)

bench: setup export ## measure processor time per answer, throughput and latency: build/speed.json and .png, minutes
	.venv/bin/python -m benchmarks.speed.bench --json build/speed.json --plot build/speed.png

overload: setup export ## 64 requests in flight for a minute: answers, rejections, memory, recovery
	.venv/bin/python -m benchmarks.speed.overload --json build/overload.json

chaos: setup export ## break three servers in turn under a load, and count lost requests, minutes
	.venv/bin/python -m benchmarks.speed.chaos

hostile: setup export ## send hostile messages to every interface beside a well-behaved client: MESSAGES=2000, a minute
	.venv/bin/python -m benchmarks.speed.hostile --messages $(or $(MESSAGES),2000)

evaluate: .venv/test-installed ## measure quality of the running server: SQUAD=questions.json, MANIFEST=recordings.jsonl, or both
	$(if $(SQUAD)$(MANIFEST),,$(error usage: make evaluate SQUAD=dev-v1.1.json MANIFEST=recordings/manifest.jsonl))
	$(if $(SQUAD),.venv/bin/python -m benchmarks.quality.evaluate text --squad $(SQUAD))
	$(if $(MANIFEST),.venv/bin/python -m benchmarks.quality.evaluate speech --manifest $(MANIFEST))

FULL_SIZE := build/full_size
EXPORT_FULL_SIZE := $(CONVAI) export --weights-folder $(FULL_SIZE)/no_weights --model-repository $(FULL_SIZE)

full-size: setup ## ask one question of NVIDIA's network sizes with random weights: minutes, 15 GB of memory
	mkdir -p $(FULL_SIZE)
	cp -r model_repository/* $(FULL_SIZE)
	$(EXPORT_FULL_SIZE) --network jasper --config jasper10x5dr
	$(EXPORT_FULL_SIZE) --network bert --config bert-large
	$(EXPORT_FULL_SIZE) --network tacotron2 --config tacotron2
	$(EXPORT_FULL_SIZE) --network waveglow --config waveglow-256
	$(CONVAI) demo --model-repository $(FULL_SIZE) --profile cpu-nvidia --timeout 900

lint: .venv/dev-installed lint-page ## ruff (rules and format) and pyright; biome and tsc for the page
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright

lint-page:
	@if command -v npm >/dev/null; \
	then $(MAKE) --silent --no-print-directory node_modules/.package-lock.json && node_modules/.bin/biome check --error-on-warnings convai/talk/page tests/page *.json && node_modules/.bin/tsc; \
	else echo "npm is not installed; the page's scripts and styles are not checked"; fi

docs: .venv/dev-installed ## build the pages under docs/ with a search, into site/
	$(CONVAI) generate --graph docs/pipeline.svg
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

clean: ## remove the environment and the exports
	rm -rf .venv node_modules build site docs/pipeline.svg answer.wav answer.png model_repository/*/1/model.onnx model_repository/*/1/model.pt model_repository/*/configs model_repository/audio_trimmer/1/*.npy

.venv/installed: pyproject.toml constraints.txt
	$(if $(PYTHON),,$(error convai needs Python 3.11 or 3.12 with its module venv, and found neither on the PATH (on Debian and Ubuntu, python3-venv brings the module)))
	$(PYTHON) -m venv .venv
	@echo "installing 1.5 GB of packages, about a minute"
	$(PIP_INSTALL) pip # the one in a new environment takes twice as long
	$(PIP_INSTALL) $(PYTORCH_FOR_CPUS) 2>/dev/null || echo "download.pytorch.org has no PyTorch for this Python, or is out of reach; taking the one that pip finds elsewhere"
	$(INSTALL) '.[cpu,plot]'
	touch $@

.venv/talk-installed: .venv/installed
	$(INSTALL) '.[moonshine,talk]'
	touch $@

.venv/test-installed: .venv/installed
	$(INSTALL) '.[test]'
	touch $@

.venv/dev-installed: .venv/test-installed # with what the tests import, which pyright looks for
	$(INSTALL) '.[dev]'
	touch $@

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel error
	touch $@

.PHONY: help setup demo test test-browser test-no-server test-page test-fast export serve ask talk generate check bench overload chaos hostile evaluate full-size lint lint-page docs clean
