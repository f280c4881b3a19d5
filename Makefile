# The only door, for people and for CI. `make` alone prints what there is.

# No space before `##`: it would become part of the value.
ADVISORY_DB ?=## a folder with RustSec's advisories for `make audit`; empty: they are fetched
PORT ?= 4000## where `make run` listens; 0: the system picks
CARGO ?= cargo## the cargo to build with
PYTHON ?= python3## the Python whose virtual environments hold the SDKs of the tests
NPM ?= npm## the npm that installs the SDKs in TypeScript
CARGO_TARGET_DIR ?= target## where cargo puts what it builds
DESTDIR ?=## a folder that `make install` takes for /
PREFIX ?= /usr## where `make install` puts the executable and what belongs to it
SYSCONFDIR ?= /etc## where `make install` puts the config
FUZZ_SECONDS ?= 60## how long `make fuzz` gives each target

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

RELEASE := $(CARGO_TARGET_DIR)/release
SDKS := target/venv
TOOLS := target/tools

.PHONY: help
help: ## print this
	@printf 'Targets:\n'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' Makefile | awk -F'|' '{ printf "  %-14s %s\n", $$1, $$2 }'
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
soak: ## run the black-box tests with their full sizes: eight gigabytes each way, a million guessed keys, 500 kills
	TOLLGATE_TEST_LARGE_MB=8192 TOLLGATE_TEST_GUESSES=1000000 TOLLGATE_TEST_KILLS=500 $(CARGO) test --locked --test blackbox

.PHONY: fuzz
fuzz: ## let cargo-fuzz look for inputs that break an invariant; `make test` replays those in fuzz/corpus
	@PATH='$(TOOLS)/bin':$$PATH; export RUSTC_BOOTSTRAP=1; \
	command -v cargo-fuzz >/dev/null || $(CARGO) install --debug --locked --root '$(TOOLS)' cargo-fuzz; \
	$(CARGO) fuzz build --dev --sanitizer none; \
	for driver in fuzz/fuzz_targets/*.rs; do \
		target=$$(basename "$$driver" .rs); \
		echo "fuzz $$target for $(FUZZ_SECONDS) s; what is new goes to fuzz/target/found/$$target"; \
		mkdir -p "fuzz/target/found/$$target"; \
		$(CARGO) fuzz run --dev --sanitizer none "$$target" "fuzz/target/found/$$target" "fuzz/corpus/$$target" -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=600 -verbosity=0; \
	done

.PHONY: venv
venv: $(SDKS)/sdk.stamp $(SDKS)/langfuse2.stamp $(SDKS)/litellm.stamp $(SDKS)/node.stamp ## install the SDKs that the tests drive, again when their list changes

$(SDKS)/sdk.stamp: tests/sdk/requirements.txt
$(SDKS)/langfuse2.stamp: tests/sdk/requirements-langfuse2.txt
$(SDKS)/litellm.stamp: tests/sdk/requirements-litellm.txt
$(SDKS)/%.stamp:
	@echo "Installing the SDKs of $<"
	rm -rf $(SDKS)/$*
	$(PYTHON) -m venv $(SDKS)/$*
	$(SDKS)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# The scripts stand beside their packages, since that is where Node looks for these.
$(SDKS)/node.stamp: $(wildcard tests/sdk/node/*)
	@echo "Installing the SDKs of tests/sdk/node"
	rm -rf $(SDKS)/node
	mkdir -p $(SDKS)/node
	cp tests/sdk/node/* $(SDKS)/node
	cd $(SDKS)/node && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
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
	for file in conf/*.yaml conf/providers/*.yaml; do \
		echo "check $$file"; \
		$(RELEASE)/tollgate check --config "$$file" || failed=1; \
	done; \
	exit $$failed

.PHONY: readme
readme: build ## run every sh block of README.md and of docs/ and conf/
	@BIN_DIR='$(RELEASE)' scripts/readme.sh

.PHONY: container-lint
container-lint: $(SDKS)/sdk.stamp ## check the rules of Dockerfile, .dockerignore and compose.yaml
	@$(SDKS)/sdk/bin/python -B scripts/container_lint.py

.PHONY: image-test
image-test: build ## run the image's last stage without an engine: PID 1, read-only root, health check, SIGTERM
	@BIN_DIR='$(RELEASE)' $(PYTHON) -B scripts/image.py

.PHONY: install
install: ## install what `make build` has built as a service, without starting it; a config that is there stays
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' BIN_DIR='$(RELEASE)' scripts/install.sh

.PHONY: uninstall
uninstall: ## remove what `make install` has installed; config, secrets and keys stay
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' scripts/install.sh remove

.PHONY: deb
deb: build ## make the Debian package, in target/deb; a warning of lintian is an error
	@scripts/setup.sh deb
	@BIN_DIR='$(RELEASE)' CARGO='$(CARGO)' PYTHON='$(PYTHON)' scripts/deb.sh

.PHONY: deb-test
deb-test: deb ## install, serve, reload, upgrade, remove and purge the Debian package in a root of its own; needs root
	@scripts/deb_test.sh "$$(BIN_DIR='$(RELEASE)' scripts/deb.sh name)"

.PHONY: audit
audit: $(TOOLS)/bin/cargo-deny $(TOOLS)/bin/cargo-audit ## check licences, sources, banned crates, advisories; not in ci: the first run builds its tools for minutes
	$(TOOLS)/bin/cargo-deny --offline --locked check bans licenses sources
	$(TOOLS)/bin/cargo-audit audit --deny warnings $(if $(ADVISORY_DB),--db '$(ADVISORY_DB)' --no-fetch --stale) \
		$$(sed -nE 's/^.* id = "(RUSTSEC-[0-9-]+)".*/--ignore \1/p' deny.toml)

$(TOOLS)/bin/cargo-%:
	@echo "Building cargo-$*, which make audit runs: a few minutes"
	$(CARGO) install --debug --locked --root '$(TOOLS)' cargo-$*

.PHONY: bench
bench: ## measure CPU, idle memory and reloads beside bare Pingora, nginx and HAProxy; fails over the limits
	@scripts/setup.sh bench
	$(CARGO) build --release --locked --bin tollgate --example bare
	$(CARGO) bench --locked --bench route
	$(CARGO) bench --locked --bench idle
	$(CARGO) bench --locked --bench pass_through
	$(CARGO) bench --locked --bench keys
	$(CARGO) bench --locked --bench adapter
	$(CARGO) bench --locked --bench listeners
	$(CARGO) bench --locked --bench reload

.PHONY: ci
ci: setup lint test doc build check-conf readme container-lint image-test deb deb-test ## everything that must hold before a change is taken

.PHONY: clean
clean: ## remove everything built
	$(CARGO) clean
	rm -rf $(SDKS)
