# Needs Python 3.11 or newer, git and make; everything else is installed below this folder, from the package registry
# that pip is set up for. An environment is built once and reused until pyproject.toml or its constraints change.

PYTHON ?= python3
PYTEST_ARGS ?=

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

export UV_PYTHON_DOWNLOADS := never

constraints = .ci/constraints/$(1).txt
uv_version := $(shell sed -n 's/^uv==//p' $(call constraints,core))
uv := .tools/uv-$(uv_version)/bin/uv

# $(call ready,NAME,FOLDER): the file that says an environment was built from what stands in the files now.
ready = $(2)/.ready-$(shell cat pyproject.toml $(call constraints,$(1)) | git hash-object --stdin)
core := $(call ready,core,.venv)
airflow := $(call ready,airflow,.venv-airflow)
# The oldest Airflow and the oldest Prefect that pyproject.toml allows, for a few tests of what differs.
airflow_oldest := $(call ready,airflow-oldest,.venv-airflow-oldest)
prefect := $(call ready,prefect,.venv-prefect)
prefect_oldest := $(call ready,prefect-oldest,.venv-prefect-oldest)
# Other mlflow clients, for the tests of the wire API, with no Headgate inside: the oldest that works with this Python,
# and the packages that have only the client and only tracing.
clients := mlflow-oldest mlflow-skinny mlflow-tracing
mlflow_clients := $(foreach client,$(clients),$(call ready,$(client),.venv-$(client)))

# $(call install,NAME,FOLDER,EXTRAS,GROUP)
define install
	@echo "Building $(2) (it is kept until pyproject.toml or $(call constraints,$(1)) change)"
	$(uv) venv --quiet --allow-existing --python "$(PYTHON)" $(2)
	$(uv) pip install --quiet --exact --python $(2) --constraints $(call constraints,$(1)) \
	    --build-constraints $(call constraints,core) --group $(4) --editable '.[$(3)]'
	rm -f $(2)/.ready-*
	touch $@
endef

core_extras := evaluate,gx,mlflow,mysql,postgres,s3
airflow_extras := airflow,evaluate,gx,postgres,s3
prefect_extras := evaluate,gx,postgres,prefect,s3

.PHONY: help demo test lint test-core test-airflow test-prefect bench environments constraints settings wire-api clean

help: ## Say what there is
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1|\2/p' Makefile | column -t -s '|'

demo: $(core) ## Run examples/tumor-screening twice on a store of its own: the second run meets a champion
	env -u HEADGATE_STORE_URL -u HEADGATE_ARTIFACT_ROOT PATH="$(CURDIR)/.venv/bin:$$PATH" examples/demo.sh

test: lint test-core test-airflow test-prefect ## Check everything: lint, then the tests of every environment

lint: $(core) ## ruff, mypy and the floors that imports may cross
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

test-core: $(core) $(mlflow_clients) ## The tests that need no orchestrator
	.venv/bin/pytest -n 3 $(PYTEST_ARGS)

test-airflow: $(airflow) $(airflow_oldest) $(core) ## mypy and the tests beside a real Airflow, and a few beside the oldest
	.venv-airflow/bin/mypy --package headgate.airflow --follow-imports silent
	.venv-airflow/bin/pytest -n 3 --dist loadgroup --no-loadscope-reorder tests/environments/test_core.py tests/environments/test_airflow.py tests/test_faces.py \
	    tests/plugin/airflow $(PYTEST_ARGS)
	.venv-airflow-oldest/bin/pytest tests/environments/test_airflow_oldest.py $(PYTEST_ARGS)
	.venv-airflow-oldest/bin/pytest -m oldest_airflow tests/plugin/airflow/test_provider.py tests/plugin/airflow/test_light.py \
	    tests/plugin/airflow/test_death.py tests/plugin/airflow/test_promotion_watch.py \
	    tests/plugin/airflow/operators/test_approve_promotion_parked.py $(PYTEST_ARGS)

test-prefect: $(prefect) $(prefect_oldest) ## mypy and the tests beside a real Prefect, and a few beside the oldest
	.venv-prefect/bin/mypy --package headgate.prefect --follow-imports silent
	.venv-prefect/bin/pytest -n 3 --dist loadscope tests/environments/test_core.py tests/environments/test_prefect.py tests/test_faces.py \
	    tests/plugin/prefect $(PYTEST_ARGS)
	.venv-prefect-oldest/bin/pytest tests/environments/test_prefect_oldest.py $(PYTEST_ARGS)
	.venv-prefect-oldest/bin/pytest -m oldest_prefect tests/plugin/prefect $(PYTEST_ARGS)

bench: $(core) $(airflow) $(prefect) ## Measure, each figure beside its baseline; results also go to bench-results/ as JSON
	.venv/bin/python -m tests.bench
	.venv-airflow/bin/python -m tests.bench
	.venv-prefect/bin/python -m tests.bench

environments: $(core) $(airflow) $(airflow_oldest) $(prefect) $(prefect_oldest) $(mlflow_clients) ## Only build the environments

settings: $(core) ## Write docs/settings.md anew from the settings' descriptions
	.venv/bin/python -m tests.settings_page

wire-api: $(core) ## Write the table of docs/wire-api.md anew from the routes
	.venv/bin/python -m tests.wire_page

constraints: $(uv) ## Resolve the newest versions that pyproject.toml allows, and pin them
	$(call pin,core,$(core_extras),--group dev)
	$(call pin,airflow,$(airflow_extras),--group airflow)
	$(call pin,airflow-oldest,airflow,--group pytest --constraints <(echo apache-airflow-core==3.2.2))
	$(call pin,prefect,$(prefect_extras),--group prefect)
	$(call pin,prefect-oldest,prefect,--group pytest --constraints <(echo prefect==3.7.7))
	$(call pin_client,mlflow-skinny)
	$(call pin_client,mlflow-tracing)

# $(call pin,NAME,EXTRAS,GROUPS)
pin = $(uv) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
    $(patsubst %,--extra %,$(subst $(comma), ,$(2))) $(3) --output-file $(call constraints,$(1)) pyproject.toml
comma := ,

# $(call pin_client,NAME): the same versions as beside the newest mlflow, where both have a package.
pin_client = $(uv) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
    --constraints $(call constraints,core) --output-file $(call constraints,$(1)) --group $(1)

clean: ## Remove the environments and what tools left behind
	rm -rf .venv .venv-airflow .venv-airflow-oldest .venv-prefect .venv-prefect-oldest $(clients:%=.venv-%) .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build

$(core):
	$(call install,core,.venv,$(core_extras),dev)

$(airflow):
	$(call install,airflow,.venv-airflow,$(airflow_extras),airflow)

$(airflow_oldest):
	$(call install,airflow-oldest,.venv-airflow-oldest,airflow,pytest)

$(prefect):
	$(call install,prefect,.venv-prefect,$(prefect_extras),prefect)

$(prefect_oldest):
	$(call install,prefect-oldest,.venv-prefect-oldest,prefect,pytest)

$(mlflow_clients):
	@echo "Building $(@D) (it is kept until its constraints change)"
	$(uv) venv --quiet --allow-existing --python "$(PYTHON)" $(@D)
	$(uv) pip sync --quiet --python $(@D) $(call constraints,$(@D:.venv-%=%))
	rm -f $(@D)/.ready-*
	touch $@

$(core) $(airflow) $(airflow_oldest) $(prefect) $(prefect_oldest) $(mlflow_clients): | $(uv)

$(uv):
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headgate needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	rm -rf .tools
	"$(PYTHON)" -m venv .tools/uv-$(uv_version)
	.tools/uv-$(uv_version)/bin/python -m pip install --quiet uv==$(uv_version)
