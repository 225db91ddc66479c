# Shunt. `make help` lists the targets; each one installs and builds what it needs.
#
# The package brings its own Node (npm package "node"), so node_modules/.bin comes first.
SHELL := /bin/bash
ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
export PATH := $(ROOT)/node_modules/.bin:$(HOME)/.cargo/bin:$(PATH):/usr/sbin:/sbin
.DEFAULT_GOAL := help
.PHONY: help setup modules packages applications compilers build engine policies addon test lint fmt unit sim lab native demo bench bench-handover bench-policy soak clean

ENGINE_SOURCES := $(shell find assembly -name '*.ts') asconfig.json
ADDON_SOURCES := $(shell find host/native -path host/native/target -prune -o \( -name '*.rs' -o -name 'Cargo.*' \) -print)
ARCH := $(shell uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
ADDON := host/native/shunt.linux-$(ARCH).node
CARGO := cargo
NATIVE := --manifest-path host/native/Cargo.toml --locked

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: modules packages ## install what is missing: npm libraries, Debian packages (without root: prints the one line)

modules: node_modules/.package-lock.json

node_modules/.package-lock.json: package.json package-lock.json
	@scripts/setup.sh modules

packages:
	@scripts/setup.sh packages

applications:
	@scripts/setup.sh applications

compilers:
	@scripts/setup.sh compilers

build: engine policies addon ## build everything that bin/shunt needs

engine: build/engine.wasm ## build the engine (AssemblyScript -> build/engine.wasm)

build/engine.wasm: $(ENGINE_SOURCES) node_modules/.package-lock.json
	@mkdir -p build
	@echo "building the engine"
	@asc --config asconfig.json --target release assembly/index.ts

policies: modules ## build the shipped policies (plugins/ -> build/policies/)
	@node scripts/build-policies.ts

addon: $(ADDON) ## build the native data path (Rust -> a Node addon)

$(ADDON): $(ADDON_SOURCES)
	@scripts/setup.sh cargo
	@echo "building the native data path (the first time this takes some minutes)"
	@scripts/build-addon.sh
	@touch $(ADDON)

test: modules applications compilers build ## everything CI runs; ends with "N passed, N failed"
	@scripts/test.sh

lint: modules ## formatters in check mode, linters, type checks
	@scripts/lint.sh

fmt: modules ## format the sources
	biome check --write --linter-enabled=false .
	$(CARGO) fmt --manifest-path host/native/Cargo.toml

unit: modules build ## unit tests only: no root, no network
	vitest run --project unit

sim: modules ## one seed of the simulator again, every packet printed: make sim SEED=n
	@node test/sim/replay.ts $(SEED)

lab: modules applications build ## lab tests only: network namespaces and real kernels' TCP
	vitest run --project lab

native: ## tests of the Rust part only
	$(CARGO) test --quiet --release $(NATIVE)

demo: setup build ## two networks, one live download, handovers
	node test/lab/demo.ts

bench: setup build ## the benchmark tables, except those of handovers and policies
	for table in $(filter-out bench/handover.ts bench/policy.ts,$(wildcard bench/*.ts)); do echo "== $$table"; node $$table || exit 1; done

bench-handover: setup build ## how long a receiver waits around a handover, beside native MPTCP (25 minutes; RUNS=50)
	node bench/handover.ts --runs $(or $(RUNS),50)

bench-policy: setup build ## what policies cost and bring, beside native MPTCP (15 minutes; RUNS=10)
	node bench/policy.ts --runs $(or $(RUNS),10)

soak: setup build ## what takes an hour: random tests with fresh seeds, handovers over and over (SOAK_MINUTES)
	scripts/soak.sh

clean: ## remove what was built
	rm -rf build out host/native/target host/native/*.node host/native/shunt-policy-compile.*
