# The only door, for people and for CI. `make` alone prints what there is.

# No space before `##`: it would become part of the value.
PORT ?= 4000## where `make run` listens; 0: the system picks
CARGO ?= cargo## the cargo to build with
PYTHON ?= python3## the Python whose virtual environments hold the SDKs of the tests
CARGO_TARGET_DIR ?= target## where cargo puts what it builds

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

RELEASE := $(CARGO_TARGET_DIR)/release
SDKS := target/venv

.PHONY: help
help: ## print this
	@printf 'Targets:\n'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' Makefile | awk -F'|' '{ printf "  %-11s %s\n", $$1, $$2 }'
	@printf '\nVariables, as in `make run PORT=4001`:\n'
	@sed -nE 's/^([A-Z_]+) \?= ?([^#]*)## (.*)/\1|\2|\3/p' Makefile | \
		awk -F'|' '{ printf "  %-17s %s (default: %s)\n", $$1, $$3, $$2 }'

.PHONY: setup
setup: ## install what a bare Debian machine with Rust lacks (cmake, a C compiler, ...)
	@scripts/setup.sh

.PHONY: build
build: ## build Tollgate and the sample upstream, optimized
	@[[ -x $(RELEASE)/tollgate ]] || \
		echo "Building Tollgate: about 250 crates, 3 to 6 minutes the first time on 2 cores."
	$(CARGO) build --release --locked --bin tollgate --example upstream

.PHONY: run
run: setup build ## start the sample upstream and Tollgate in front of it, and print curls to paste
	@PORT='$(PORT)' BIN_DIR='$(RELEASE)' scripts/run.sh

.PHONY: test
test: ## run every test, the clients' own SDKs included
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory venv
	$(CARGO) build --locked --examples
	$(CARGO) test --locked --lib --bins --tests
	$(CARGO) test --locked --doc

.PHONY: soak
soak: ## run the black-box tests with their full sizes: eight gigabytes each way
	TOLLGATE_TEST_LARGE_MB=8192 $(CARGO) test --locked --test blackbox

.PHONY: venv
venv: $(SDKS)/sdk.stamp $(SDKS)/langfuse2.stamp ## install the SDKs that the tests drive, again when their list changes

$(SDKS)/sdk.stamp: tests/sdk/requirements.txt
$(SDKS)/langfuse2.stamp: tests/sdk/requirements-langfuse2.txt
$(SDKS)/%.stamp:
	@echo "Installing the SDKs of $<"
	rm -rf $(SDKS)/$*
	$(PYTHON) -m venv $(SDKS)/$*
	$(SDKS)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

.PHONY: lint
lint: ## check format and lints; a warning is an error
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

.PHONY: doc
doc: ## build the documentation; a broken link is an error
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps

.PHONY: check-conf
check-conf: build ## let Tollgate check every configuration shipped in conf/
	@export UPSTREAM_PORT=4010 UPSTREAM_SECRET=an-example; \
	if [[ -f conf/example.env ]]; then set -a; . conf/example.env; set +a; fi; \
	failed=0; \
	for file in conf/*.yaml; do \
		echo "check $$file"; \
		$(RELEASE)/tollgate check --config "$$file" || failed=1; \
	done; \
	exit $$failed

.PHONY: readme
readme: build ## run every sh block of README.md and conf/*.md
	@BIN_DIR='$(RELEASE)' scripts/readme.sh

.PHONY: bench
bench: ## measure CPU and idle memory beside bare Pingora and nginx; fails over the limits
	@scripts/setup.sh bench
	$(CARGO) build --release --locked --bin tollgate --example bare
	$(CARGO) bench --locked --bench route
	$(CARGO) bench --locked --bench idle
	$(CARGO) bench --locked --bench pass_through
	$(CARGO) bench --locked --bench listeners

.PHONY: ci
ci: setup lint test doc build check-conf readme ## everything that must hold before a change is taken

.PHONY: clean
clean: ## remove everything built
	$(CARGO) clean
	rm -rf $(SDKS)
