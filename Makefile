# One task list for people and CI. `make` alone lists the tasks.
.DEFAULT_GOAL := help
.PHONY: help repro tables fetch-results flow plan dry test test-slow test-browser test-compiler test-gpu test-services test-all mutants lint docs lock pins validate-infra bench ui serve stack stack-down clean clean-checkpoints

PYTHON ?= python3
VENV := .venv
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
# cuda: torch from the default index, with CUDA's libraries on Linux. cpu, the default without an NVIDIA driver: from
# PyTorch's index of CPU builds, which have the same versions; where it does not answer, from the default index.
TORCH ?= $(if $(shell command -v nvidia-smi),cuda,cpu)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH_cuda = :
TORCH_cpu = $(PIP) --retries 0 --timeout 20 --no-deps --index-url $(TORCH_INDEX) \
	$$(sed -n 's/^torch\(vision\)\{0,1\}==.*/&+cpu/p' constraints.txt) 2> /dev/null \
	|| echo "No CPU build of torch from $(TORCH_INDEX): going on with the default index (3 GB more, of CUDA's libraries)"
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
SIZE ?=
CURRENT = $(shell sed -n 's/^size: *\([^ ]*\).*/\1/p' params.yaml)
UI_PORT ?= 5000
RUN ?= joint
SERVE_PORT ?= 5001
WORKERS ?= 1
MODULES ?=
PROCESSES ?= 3
PYTEST = pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder tests

help:  ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: $(VENV)/installed  ## run the pipeline (dvc repro) of the current size, or of SIZE=fashion, and print the verdict on each claim
	$(if $(SIZE),python -m pipelines.sizes $(SIZE))
	python -m pipelines.check params.yaml
	python -m pipelines.sources
	dvc repro
	@cat outputs/$(CURRENT)/tables/claims.md
	@echo "Report: outputs/$(CURRENT)/report/index.html    Tables: outputs/$(CURRENT)/tables/tables.md    Runs: make ui"

tables: $(VENV)/installed  ## write tables and report of the current size from the numbers that exist so far
	@python -m pipelines.partial_report

fetch-results: $(VENV)/installed  ## fetch what the committed dvc.lock names from the default remote, instead of running it
	@dvc remote default > /dev/null 2>&1 \
		|| { printf '%s\n' "There is no default remote. Add the one that has the results:" "    dvc remote add --default NAME URL" >&2; exit 1; }
	dvc pull

flow: $(VENV)/installed  ## the same pipeline as a Prefect flow, independent stages in parallel
	$(if $(SIZE),python -m pipelines.sizes $(SIZE))
	python -m pipelines.check params.yaml
	python -m pipelines.sources
	python -m pipelines.local

plan: $(VENV)/installed  ## print what each size would run: its DAG, networks and estimated GPU hours
	python -m pipelines.plan params.yaml sizes/*.yaml

dry: $(VENV)/installed  ## check each size's parameters, and list the commands of its DAG
	python -m pipelines.check params.yaml sizes/*.yaml
	python -m pipelines.dry params.yaml sizes/*.yaml

test: $(VENV)/installed  ## run the tests that need nothing but Python packages
	$(PYTEST) -m "not slow and not browser and not compiler and not services and not gpu"

test-slow: $(VENV)/installed  ## run the slow tests (full-size networks, whole pipelines): minutes, and 5 GB of memory
	$(PYTEST) -m "slow and not browser and not compiler and not services and not gpu"

test-browser: $(VENV)/installed  ## test the report page (apt-get install chromium chromium-driver)
	$(PYTEST) -m browser

test-compiler: $(VENV)/installed  ## test compiled trainings (apt-get install g++)
	$(PYTEST) -m compiler

test-gpu: $(VENV)/installed  ## run the tests that need a CUDA GPU, and measure latents and training steps on it
	pytest -m gpu tests
	@python -m benchmarks.gpu

test-services: $(VENV)/services  ## test with real servers (apt-get install postgresql slurm-wlm munge)
	$(PYTEST) -m services
	@cat .faults/*.md

test-all: $(VENV)/services  ## run all of these tests at once but those that need a GPU, as CI does
	$(PYTEST) -m "not gpu"
	@cat .faults/*.md

mutants: $(VENV)/mutants  ## change modules in small ways, and list the changes that no test notices: MODULES="lzn/flow stages/tables.py"
	PYTHONPATH=tests python -m lzn_testing.mutants $(MODULES)

lint: $(VENV)/installed  ## style, types and import contracts
	ruff check .
	ruff format --check .
	mypy
	lint-imports

docs: $(VENV)/docs  ## build the documentation into site/; open site/index.html
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

lock: $(VENV)/lock  ## write the hashes of the image's packages, after a change of constraints.txt (infra/image)
	python -m infra.image.lock
	$(if $(filter command line,$(origin TORCH_INDEX)),python -m infra.image.lock --torch-index $(TORCH_INDEX))

pins: $(VENV)/installed  ## list the versions of container images; IMAGE=postgres:15.15-bookworm changes one in all files
	python -m infra.image.pins $(IMAGE)

validate-infra: $(VENV)/installed  ## check compose.yaml with Compose, the Kubernetes manifests with its schemas, and the rules of least privilege
	python -m infra.validate

bench: $(VENV)/installed  ## measure performance as ratios in one run, into benchmarks/
	@for topic in latents alignment steps micro_batches sampling accuracy; do python -m benchmarks.$$topic || exit 1; done
	@python -m benchmarks.table

ui: $(VENV)/installed  ## serve the MLflow UI on http://127.0.0.1:$(UI_PORT)
	@echo "Runs: $$(python -m stages.tracking.view $(CURRENT) --local http://127.0.0.1:$(UI_PORT))"
	@echo "Stop with Ctrl-C"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --host 127.0.0.1 --port $(UI_PORT) \
		--backend-store-uri $${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}

serve: export MLFLOW_TRACKING_URI := $(or $(MLFLOW_TRACKING_URI),sqlite:///mlflow.db)
serve: $(VENV)/installed  ## register the run RUN=joint and serve it on http://127.0.0.1:$(SERVE_PORT)
	lzn register $(RUN) --size $(or $(SIZE),$(CURRENT))
	@echo "Requests: POST http://127.0.0.1:$(SERVE_PORT)/invocations    Stop with Ctrl-C"
	@MLFLOW_DISABLE_TELEMETRY=true mlflow models serve --env-manager local --host 127.0.0.1 --port $(SERVE_PORT) \
		--model-uri models:/lzn-$(or $(SIZE),$(CURRENT))-$(firstword $(subst :, ,$(RUN)))@champion

stack: $(VENV)/services  ## start PostgreSQL, S3, MLflow, Prefect and WORKERS=1 workers on this machine (see infra/README.md)
	@python -m infra.stack up --workers $(WORKERS)

stack-down: $(VENV)/services  ## end them; their state stays in .stack
	@python -m infra.stack down

clean:  ## remove what DVC can bring back, and caches; keeps mlflow.db and checkpoints
	rm -rf outputs live/* .features .faults .mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

clean-checkpoints: $(VENV)/installed  ## list the checkpoints of trainings, ask which to delete, and delete them
	@python -m stages.runtime.clean_checkpoints

$(VENV)/installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"
	@$(or $(TORCH_$(TORCH)),$(error TORCH is cpu or cuda, not $(TORCH)))
	$(PIP) --constraint constraints.txt --group dev --editable '.[cluster]'
	@touch $@

$(VENV)/services: $(VENV)/installed
	$(PIP) --constraint constraints.txt --group services
	@touch $@

$(VENV)/mutants: $(VENV)/installed
	$(PIP) --constraint constraints.txt --group mutants
	@touch $@

$(VENV)/lock: $(VENV)/installed
	$(PIP) --constraint constraints.txt --group lock
	@touch $@

$(VENV)/docs: $(VENV)/installed
	$(PIP) --constraint constraints.txt --group docs
	@touch $@
