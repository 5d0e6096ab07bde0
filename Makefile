# validator, a PostgreSQL OAuth token validator. `make` alone lists the targets.
# Targets obtain what they need (packages, PostgreSQL, a provider to test with) if it is missing.

# --- What may be set on the command line ---

# PostgreSQL's major version; PG_CONFIG names the installation to build for, otherwise scripts/postgresql.sh finds one.
export PG ?= 18
export PG_CONFIG
# PG_SOURCE=1: a PostgreSQL built from source, not Debian's binaries. CASSERT=1: the same, with its own assertions checked.
export PG_SOURCE
export CASSERT
# For `make test-logins` and `make test-cassert`: names of the pg_test/tests to run (default: all).
SUITES ?=
# For `make test-providers`: which of these to log in with.
PROVIDER ?= keycloak dex hydra spire
# For `make install`: SUDO=sudo writes into PostgreSQL's and PAM's folders as root, DESTDIR is for packagers, PAM_FOLDER names
# the folder of PAM's modules.
SUDO ?=
DESTDIR ?=
# Outlives a checkout and is shared by clones. The tests' unprivileged server could not read root's home.
export VALIDATOR_CACHE ?= $(if $(filter 0,$(shell id -u)),/var/cache/validator,$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/validator)

# --- What the recipes share ---

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
export PATH := $(PATH):$(HOME)/.cargo/bin
export CARGO_TARGET_DIR := $(CURDIR)/target

pg_config = "$$(scripts/postgresql.sh)"
# pgrx 0.19 declares rustc 1.96, but builds and works with 1.95, for which cargo needs a flag.
cargo_flags = --locked $$(rustc --version | sed -n 's/^rustc 1[.]95[.].*/--ignore-rust-version/p')
features = $(if $(filter-out 18,$(PG)),--no-default-features --features pg$(PG))
# Versions that have no method "oauth", and take tokens as passwords only.
older := $(filter 15 16 17,$(PG))

# This checkout's own installation, for the tests: they write nothing into PostgreSQL's folders.
stage := $(VALIDATOR_CACHE)/stage/$(shell pwd | sha256sum | cut -c 1-12)$(older:%=-pg%)$(if $(CASSERT),-cassert)
# The profile of Cargo.toml by which the module is built; for servers that check assertions, next to the one for others.
module_profile := $(or $(MODULE_PROFILE),$(if $(CASSERT),quick,release))
module_target := $(CURDIR)/target$(if $(CASSERT),/cassert)
library := $(module_target)/$(module_profile)/libvalidator.so
pam_library := $(CURDIR)/target/release/libpam_validator.so
# The receiver of logouts, which is the same for every PostgreSQL.
hook := $(CURDIR)/target/release/validator-hook
# The real providers, and the proxy, that tests start.
providers = $$(scripts/oidc-provider.sh) $$(scripts/django-oauth-toolkit.sh) $$(scripts/glewlwyd.sh) $$(scripts/tinyproxy.sh)
test_env = env PG_CONFIG=$(if $(older),"$$(scripts/staged-server.sh $(stage))",$(pg_config)) VALIDATOR_STAGE=$(stage) VALIDATOR_PACKAGES=$(packages)

packages := $(CURDIR)/target/packages

build_bench = cargo build $(cargo_flags) --profile bench-tool -p bench

# $(call install_module,LIBRARY FOLDER,SHARE FOLDER). Running servers have the library mapped: it is replaced, not written over.
define install_module
@umask 022 && $(SUDO) install -d -m 755 $(1) $(2)/extension
@$(SUDO) install -m 755 $(library) $(1)/validator.so.new
@$(SUDO) mv -f $(1)/validator.so.new $(1)/validator.so
@$(SUDO) install -m 644 validator.control sql/validator--*.sql $(2)/extension
endef
# $(call install_pam_module,FOLDER)
define install_pam_module
@umask 022 && $(SUDO) install -d -m 755 $(1)
@$(SUDO) install -m 644 $(pam_library) $(1)/pam_validator.so.new
@$(SUDO) mv -f $(1)/pam_validator.so.new $(1)/pam_validator.so
endef
pkglibdir = $(DESTDIR)$$($(pg_config) --pkglibdir)
sharedir = $(DESTDIR)$$($(pg_config) --sharedir)
# Where PAM looks for its modules: beside its library.
PAM_FOLDER ?= $(shell /sbin/ldconfig -p 2>/dev/null | sed -n 's|.* => \(.*\)/libpam\.so\.0$$|\1/security|p' | head -n 1)

# --- Targets ---

help: ## list the targets (the default)
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 16

demo: stage := $(stage)-demo
demo: library := $(CURDIR)/target/quick/libvalidator.so
demo: build-tools pg ## log in with psql by the device flow, then show refusals (INTERACTIVE=1: approve in your own browser)
	@# Without link-time optimization, which takes minutes, and with all in one go, so that nothing is compiled twice.
	@PGRX_PG_CONFIG_PATH=$(pg_config) cargo build --profile quick $(cargo_flags) $(features) -p validator -p demo
	$(call install_module,$(stage)/lib,$(stage)/share)
	@$(test_env) INTERACTIVE="$(INTERACTIVE)" target/quick/demo

test: test-packages stage stage-hook provider package image ## run all tests, with a real PostgreSQL (PG=19: 19) and a real provider
	@scripts/run-tests.sh all-tests $(if $(filter 18,$(PG)),older-tests-15 older-tests-17)

test-fresh: ## run `make demo`, `make test` and `make test-providers` on a bare Debian 12, and say how long each took (needs root)
	@scripts/bare-root.sh 'for what in demo test test-providers; do start=$$SECONDS; make $$what; took+=("make $$what: $$((SECONDS - start)) s"); done; \
	printf "%s\n" "$${took[@]}"'

test-bare: ## run `make test` on a bare Debian 12, with earlier downloads, or on this system if that is not possible
	@scripts/bare-root.sh --share-downloads 'make test' || { (($$? == 77)) && $(MAKE) --no-print-directory test; }

test-core: build-tools ## run the tests that need no server
	@scripts/run-tests.sh core-tests

test-logins: stage stage-hook provider $(if $(SUITES),,package image) ## run the tests that log in to a PostgreSQL (SUITES="login_rules sql": these)
	@scripts/run-tests.sh login-tests

# Suites that check packages, the manual and drivers gain nothing from assertions.
cassert_suites = $(filter-out packages documentation drivers long real_providers,$(basename $(notdir $(wildcard pg_test/tests/*))))
test-cassert: ## run the tests that log in to a PostgreSQL built from source, which checks its own assertions (SUITES=...)
	@$(MAKE) --no-print-directory CASSERT=1 PG_CONFIG= SUITES="$(or $(SUITES),$(cassert_suites))" test-logins

bench: stage bench-tool ## measure what a login costs (SCALE=1: with many issuers, keys, claims, profiles), LOGINS=2000, CLIENTS=16,64, ONLY=ROWS, COMPARE=OTHER.so, BASE=OLD.json
	@$(test_env) target/bench-tool/bench

chart: build-tools ## draw docs/performance.svg from what `make bench` found last (JSON=target/bench.json)
	@$(build_bench)
	@target/bench-tool/bench chart $(or $(JSON),target/bench.json) docs/performance.svg

hot-functions: export CARGO_PROFILE_RELEASE_STRIP = none
hot-functions: stage bench-tool ## rewrite hot_functions.ld from the functions that valgrind sees logins execute
	@scripts/packages.sh valgrind
	@$(test_env) scripts/hot-functions.sh

test-long: stage provider ## run the tests that take minutes, which CI does not run (SOAK_MINUTES=20)
	@$(test_env) $(providers) cargo test --profile quick --no-fail-fast $(cargo_flags) -p pg_test --test long -- --ignored

test-providers: stage stage-hook ## log in with Keycloak, Dex, Hydra and SPIRE (PROVIDER="keycloak dex": with these)
	@scripts/packages.sh python
	@scripts/real-providers.sh $(PROVIDER) >/dev/null
	@scripts/run-tests.sh provider-tests

test-pgadmin: stage ## log in with pgAdmin 4 (600 MB), as a person does in a browser
	@scripts/packages.sh python browser
	@scripts/pgadmin.sh >/dev/null
	@scripts/run-tests.sh pgadmin-tests

fuzz: ## look for inputs that break the core: SECONDS=10 for each target, TARGET=one of them
	@scripts/packages.sh module fuzz
	@scripts/rust.sh
	@scripts/fuzz.sh $(or $(SECONDS),10) $(TARGET)

lint: build-tools pg ## check formatting, code, dependencies and scripts
	@scripts/rust.sh clippy rustfmt
	@cargo fmt --all --check
	@cargo fmt --manifest-path fuzz/Cargo.toml --check
	@cargo fmt --manifest-path pg_test/tests/drivers/rust/Cargo.toml --check
	@cargo fmt --manifest-path crates/pam-validator/Cargo.toml --check
	@cargo clippy --release $(cargo_flags) --manifest-path crates/pam-validator/Cargo.toml -- -D warnings
	@PGRX_PG_CONFIG_PATH=$(pg_config) cargo clippy --profile quick $(cargo_flags) --workspace --all-targets $(features) --features pg_test/real-providers -- -D warnings
	@if scripts/packages.sh lint && type shellcheck >/dev/null 2>&1; \
	then shellcheck --external-sources --source-path=SCRIPTDIR scripts/*.sh packaging/*.sh .ci/run; \
	else echo "skipped: shellcheck (scripts/, packaging/ and .ci/run) cannot be installed here"; fi
	@if type python3 >/dev/null 2>&1; then python3 -B scripts/floors.py; \
	else echo "skipped: the lint of floors (which folder imports which) needs python3, which cannot be installed here"; fi
	@if cargo_deny=$$(scripts/cargo-tool.sh cargo-deny); \
	then "$$cargo_deny" --locked check --hide-inclusion-graph licenses bans sources; \
	else echo "skipped: cargo-deny (licences and sources of the dependencies) cannot be installed here"; fi

advisories: ## ask RustSec's database about the dependencies
	@scripts/packages.sh module
	@scripts/rust.sh
	@"$$(scripts/cargo-tool.sh cargo-deny)" --locked check --hide-inclusion-graph advisories

workflows: ## check .github/workflows and META.json by what reads them (actionlint, PGXN's own validator)
	@scripts/packages.sh module python lint
	@scripts/rust.sh
	@"$$(scripts/go-tool.sh actionlint)"
	@"$$(scripts/cargo-tool.sh pgxn_meta)" META.json

coverage: build-tools ## measure which lines of the core its tests run (FORMAT=--html: as pages)
	@CARGO_LLVM_COV_SETUP=yes "$$(scripts/cargo-tool.sh cargo-llvm-cov)" llvm-cov --locked -p oauth-core $(or $(FORMAT),--summary-only)

lint-hot-functions: build ## check that hot_functions.ld names only functions that the library has
	@python3 -B scripts/hot-functions-check.py

mutants: build-tools ## change the core in many small ways, and list the changes that no test notices (FILE=checks/scope.rs, SHARD=0/8)
	@"$$(scripts/cargo-tool.sh cargo-mutants)" mutants -p oauth-core $$(printf -- '--cargo-arg=%s ' $(cargo_flags)) \
	$(FILE:%=--file 'crates/oauth-core/src/%') $(SHARD:%=--shard %)

lint-versions: build-tools ## check that the module compiles for the other major versions, too, whose headers are available
	@for version in $(filter-out $(PG),15 16 17 18 19); do \
	if $(MAKE) --no-print-directory PG=$$version PG_CONFIG= pg; \
	then PGRX_PG_CONFIG_PATH=$$(PG=$$version PG_CONFIG= scripts/postgresql.sh) \
	cargo clippy --profile quick $(cargo_flags) -p validator --no-default-features --features pg$$version -- -D warnings; \
	else echo "skipped: the check for PostgreSQL $$version, whose headers are not available here"; fi; \
	done

build: build-tools pg ## build the module
	@# The library alone: cargo omits link-time optimization if it also makes an rlib.
	@PGRX_PG_CONFIG_PATH=$(pg_config) CARGO_TARGET_DIR=$(module_target) \
	cargo rustc --profile $(module_profile) --lib --crate-type cdylib $(cargo_flags) $(features)
	@cargo build --release $(cargo_flags) --manifest-path crates/pam-validator/Cargo.toml

hook: build-tools ## build validator-hook, the receiver of logouts
	@cargo build --release $(cargo_flags) -p validator-hook

install: build ## build the module and install it into PostgreSQL (SUDO=sudo: write there as root; DESTDIR=FOLDER: for packagers)
	$(call install_module,$(pkglibdir),$(sharedir))
	@echo "installed: $(pkglibdir)/validator.so and $(sharedir)/extension/validator.control"
	$(if $(PAM_FOLDER),$(call install_pam_module,$(DESTDIR)$(PAM_FOLDER)))
	@echo "$(if $(PAM_FOLDER),installed: $(DESTDIR)$(PAM_FOLDER)/pam_validator.so,not installed: pam_validator.so: PAM is not found. PAM_FOLDER=... names its folder of modules)"

uninstall: pg ## remove what `make install` put there
	$(SUDO) rm -f $(pkglibdir)/validator.so $(sharedir)/extension/validator{.control,--*.sql}
	$(if $(PAM_FOLDER),$(SUDO) rm -f $(DESTDIR)$(PAM_FOLDER)/pam_validator.so)

package: build hook ## package the module and validator-hook: for Debian, Red Hat and Arch, a tarball, checksums and a bill of materials (CycloneDX)
	@scripts/packages.sh packages
	@packaging/build.sh package $(library) $(PG) $(packages) $(hook)

image: build ## package the module's files alone as an OCI image, in the layout that CloudNativePG mounts
	@scripts/packages.sh packages
	@packaging/build.sh image $(library) $(PG) $(packages)

pg: ## provide PostgreSQL 18 (PG=19: that one) with headers: PG_CONFIG, an installed one, apt's, or one that Debian has
	@scripts/packages.sh postgresql
	@scripts/postgresql.sh >/dev/null

pg-config: pg ## print the path of the pg_config in use (with `make -s`, nothing else)
	@scripts/postgresql.sh

docs: ## build the manual as a searchable book, target/book, and check its links
	@scripts/packages.sh module
	@scripts/rust.sh
	@scripts/book.sh

picture: ## draw docs/session.svg, the terminal in README.md, from a real `make demo`
	@scripts/terminal-picture.sh

clean: ## remove what was built from this checkout
	rm -rf target $(stage)*

distclean: clean ## also remove what all checkouts of this user share: PostgreSQL, the provider, logs
	rm -rf $(VALIDATOR_CACHE)/{postgresql-,node-,oidc-provider-,exporters,django-oauth-toolkit-,drivers-,pgadmin-,glewlwyd-,tinyproxy-,keycloak-,dex-,hydra-,spire-server-,cargo-,go-,nfpm-,actionlint-,hyperlink-,mdbook-,terminal-picture-,pgxn_meta-,downloads,stage,log,*.lock}*
	rmdir --ignore-fail-on-non-empty $(VALIDATOR_CACHE)

# Steps of the targets above.

stage: build
	$(call install_module,$(stage)/lib,$(stage)/share)
	$(call install_pam_module,$(stage)/lib)

stage-hook: hook
	@install -d -m 755 $(stage)/bin && install -m 755 $(hook) $(stage)/bin/validator-hook.new
	@mv -f $(stage)/bin/validator-hook.new $(stage)/bin/validator-hook

bench-tool: stage
	@$${CC:-cc} -O2 -Wall -Werror -shared -fPIC -I"$$($(pg_config) --includedir-server)" -o $(stage)/lib/floor.so bench/floor.c
	@$(build_bench)

provider: test-packages
	@scripts/oidc-provider.sh >/dev/null
	@scripts/django-oauth-toolkit.sh >/dev/null
	@scripts/glewlwyd.sh >/dev/null
	@scripts/tinyproxy.sh >/dev/null
	@scripts/drivers.sh >/dev/null

build-tools:
	@scripts/packages.sh module postgresql
	@scripts/rust.sh

# All packages that the tests need at once, so that a user who may not install them sees one line.
test-packages:
	@scripts/packages.sh module postgresql python drivers packages package-check

core-tests:
	@cargo test --profile quick --no-fail-fast $(cargo_flags) -p oauth-core

# All at once, so that what both need is compiled once, with the features that both require.
all-tests login-tests:
	@# Tests wait more than they work: for servers, for caches to expire, for a provider that is slow.
	@$(test_env) $(providers) $$(scripts/exporters.sh) $$(scripts/drivers.sh) RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} \
	cargo test --profile quick --no-fail-fast $(cargo_flags) $(if $(filter all-tests,$@),-p oauth-core) $(if $(SUITES),,-p token-minter -p bench) -p pg_test $(SUITES:%=--test %)

# What servers before 18 offer, on Debian's binaries of them; and their packages, with a module that is built fast, in a folder
# of their own.
older-tests-15 older-tests-17:
	@if $(MAKE) --no-print-directory PG=$(@:older-tests-%=%) PG_CONFIG= pg; \
	then $(MAKE) --no-print-directory PG=$(@:older-tests-%=%) PG_CONFIG= MODULE_PROFILE=quick SUITES=passwords \
	packages=$(packages)-pg$(@:older-tests-%=%) stage package login-tests package-tests; \
	else echo "passwords: PostgreSQL $(@:older-tests-%=%) cannot be had here" >>"$$VALIDATOR_SKIPPED"; fi

# The packages that are installed beside a server of a version without the method oauth.
package-tests:
	@$(test_env) cargo test --profile quick --no-fail-fast $(cargo_flags) -p pg_test --test packages pam_packages

pgadmin-tests:
	@$(test_env) $$(scripts/pgadmin.sh) \
	cargo test --profile quick $(cargo_flags) -p pg_test --test drivers -- --ignored pgadmin

provider-tests:
	@$(test_env) $$(scripts/real-providers.sh $(PROVIDER)) \
	cargo test --profile quick --no-fail-fast $(cargo_flags) -p pg_test --features real-providers --test real_providers -- $(PROVIDER:%=%::)

.PHONY: $(shell sed -n 's/^\([a-z0-9 -]*\):.*/\1/p' Makefile)
