# `make` alone lists the verbs. Only Python, make and git must be installed.
PYTHON ?= python3
BIN := .venv/bin
COMPILE := .venv-uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
# boto3 and its dependencies: Lambda's Python runtimes include them, so the layer does not.
IN_THE_RUNTIME := boto3 botocore jmespath python-dateutil s3transfer six urllib3

.DEFAULT_GOAL := help
.PHONY: help install run up down demo simulator doctor reload-schema tokens webhooks redrive replay delete-people test fuzz year faults bench check format build validate openapi migration diagram lock clean

help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Install everything inside this folder; repeats only what has changed
	@$(PYTHON) -m local.install

run: install ## Run the whole system in the foreground and make one demo connection; Ctrl-C stops it
	@$(BIN)/python -m local.stack run

up: install ## Start, repair or reconfigure the system in the background
	@$(BIN)/python -m local.stack up

down: install ## Stop the system and keep its database
	@$(BIN)/python -m local.stack down

demo: install ## Make a connection on the running system, step by step
	@$(BIN)/python -m local.stack demo

simulator: install ## Run the Meta simulator alone, in the foreground; ARGS="--port 4700"; meta_simulator/README.md
	@$(BIN)/python -m meta_simulator $(ARGS)

doctor: install ## Find out why storage does not work, and what to do; ARGS=--json; docs/operations.md
	@PYTHONPATH=layers/shared $(BIN)/python -m operations.doctor examine $(ARGS)

reload-schema: install ## Reload the Data API's schema cache and check the schema contract, as a deploy does
	@PYTHONPATH=layers/shared $(BIN)/python -m operations.doctor reload $(ARGS)

tokens: install ## Show when tokens are due, which are overdue and who must reconnect; ARGS=--json; .local/tokens.svg
	@PYTHONPATH=layers/shared $(BIN)/python -m operations.tokens $(ARGS)

webhooks: install ## Show what became of webhook events, or look one up; ARGS="--id <message id>"; docs/webhooks.md
	@PYTHONPATH=layers/shared $(BIN)/python -m operations.webhooks report $(ARGS)

redrive: install ## Move webhooks from the dead-letter queue back into the queue
	@PYTHONPATH=layers/shared $(BIN)/python -m operations.webhooks redrive $(ARGS)

replay: install ## Parse stored webhook events again; ARGS="--kind unparsed"
	@PYTHONPATH=layers/shared $(BIN)/python -m operations.webhooks replay $(ARGS)

delete-people: install ## Delete the data of the people in a list from Meta; ARGS=<file>; docs/privacy.md
	@PYTHONPATH=layers/shared $(BIN)/python -m operations.deletions $(ARGS)

test: install ## Run all tests
	@$(BIN)/python -m local.browser && $(BIN)/python -m pytest

FUZZ ?= 20
fuzz: install ## Run property tests with FUZZ=20 times the examples of `make test`; SEED=<printed seed> repeats a run
	@seed=$(or $(SEED),$$(date +%s)); echo "make fuzz FUZZ=$(FUZZ) SEED=$$seed"; \
	FUZZ=$(FUZZ) FUZZ_SEED=$$seed $(BIN)/python -m pytest -m hypothesis --hypothesis-seed=$$seed

year: install ## Simulate a year of refreshing 10,000 accounts, with outages and crashes; takes minutes
	@REFRESH_YEAR_ACCOUNTS=10000 $(BIN)/python -m pytest tests/integration/refresh/test_refresh_year.py -k year

faults: install ## Make every kind of call fail in every flow, and count losses; ARGS="--seed 1 --each 10"; docs/faults.md
	@PYTHONPATH=layers/shared $(BIN)/python -m tests.faults $(ARGS)

bench: install ## Run the benchmarks and write bench/results.json; ARGS="--only healing" or --full; docs/benchmarks.md
	@PYTHONPATH=layers/shared $(BIN)/python -m bench $(ARGS)

check: install validate ## Check formatting, style, types and the template, without changing anything
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
	@$(BIN)/sqlfluff lint --nocolor --disable-progress-bar supabase/schemas
	@$(BIN)/python -m local.web check

format: install ## Format the code and apply automatic fixes
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

build: install ## Build the functions and the layer for AWS
	@PATH="$(CURDIR)/$(BIN):$$PATH" sam build --cached --parallel $(ARGS)

validate: install ## Validate the template with SAM and cfn-lint
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(BIN)/sam validate --lint --template-file template.yaml

openapi: install ## Write docs/openapi.json and the page's types; run it after a change to the HTTP contract
	@PYTHONPATH=layers/shared $(BIN)/python -m tools.openapi && $(BIN)/python -m local.web types

migration: install ## Write a migration for what changed in supabase/schemas; NAME=verb_noun, ALLOW_DROPS=1
	@PYTHONPATH=layers/shared $(BIN)/python -m tools.migrations $(NAME) $(if $(ALLOW_DROPS),--allow-drops)

diagram: install ## Redraw the import diagram in ARCHITECTURE.md, after a change to the packages
	@$(BIN)/python -m tools.architecture

lock: install ## Pin all packages with hashes; run it after a change to an .in file
	@cd requirements && for name in uv dev ministack node; do ../$(COMPILE) $$name.in -o $$name.txt || exit 1; done
	@$(COMPILE) layers/shared/requirements.in -c requirements/dev.txt -o layers/shared/requirements.txt \
		$(addprefix --no-emit-package=,$(IN_THE_RUNTIME))

clean: install ## Stop the system and delete its database, keys and builds
	@$(BIN)/python -m local.stack down --wipe && rm -rf .aws-sam
