# Two commands do everything on a fresh Debian machine with git and Rust: `make demo`, `make test`.
.DEFAULT_GOAL := help
.PHONY: help setup build verifier demo test check bench soak axe oscal corpus mutations faults verity units model tlog-peer docs fuzz fuzz-api clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 10

setup: ## install what is missing: Chromium, fonts, tools
	@scripts/setup

build: setup ## build the binary
	cargo build

verifier: setup ## build exhibit-verify, the verifier alone, for auditors
	cargo build --release -p exhibit-verify
	@echo "target/release/exhibit-verify --trust DIR STORE"

demo: build ## process a refund under evidence and check the folder with stock tools
	@scripts/demo

test: ## run all tests, with the real Chromium
	@scripts/setup tests
	cargo test
	scripts/fuzz 60

check: setup ## format, lints, documentation, scripts
	cargo fmt --all --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
	for script in scripts/* docs/*.sh .ci/run examples/*.sh; do bash -n $$script || exit 1; done
	target/tools/bin/python -c 'import ast, sys; [ast.parse(open(name).read()) for name in sys.argv[1:]]' examples/*.py docs/*.py tests/*/*.py
	@if command -v systemd-analyze >/dev/null; then scripts/check-units; fi
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "cargo-deny is not installed: licences and advisories are not checked"; fi

bench: setup ## what evidence, recordings (beside others' tools), reports and the log cost
	@scripts/setup-bench
	cargo bench --bench capture --bench video --bench report --bench log

soak: setup ## ten minutes of recording: memory flat, no frame lost silently
	@scripts/setup-bench
	EXHIBIT_SOAK=$${EXHIBIT_SOAK:-600} cargo bench --bench video

axe: build ## have axe-core (npm) look at the report and the web page
	@scripts/axe

oscal: build ## have compliance-trestle (PyPI) read a run as OSCAL
	@scripts/oscal

mutations: ## ten thousand random changes of a sealed store, each of which must be noticed
	EXHIBIT_MUTATIONS=$${EXHIBIT_MUTATIONS:-10000} cargo test -p exhibit-store --lib -- mutations::

corpus: setup ## all pages of the corpus at two sizes, and one of 70,000 pixels, against windows scrolled through
	EXHIBIT_CORPUS=all cargo test --test it -- view::

verity: ## fs-verity, under a kernel that has it, in a virtual machine (apt: qemu-system-x86 and a kernel)
	@scripts/verity

units: build ## boot systemd with our units in a container (root; apt: debootstrap, systemd-container)
	@scripts/boot-units

faults: ## a disk that fails, in each of seven ways at every step of a store's life and a daemon's
	EXHIBIT_FAULTS=all cargo test --lib -- faults::

model: ## recovery: crashes, starts and an insider's actions in every order, six deep
	EXHIBIT_DEPTH=$${EXHIBIT_DEPTH:-6} cargo test -p exhibit-store --lib -- model::

tlog-peer: build ## have aics-tlog (PyPI), another implementation, judge logs, sound and damaged
	@scripts/tlog-peer

docs: ## write anew what is made of tables: docs/openapi.json, parts of docs/API.md and docs/AUDITORS.md
	UPDATE_GOLDEN=1 cargo test --test it -- openapi::the openapi::what
	UPDATE_GOLDEN=1 cargo test -p exhibit-store --lib -- matrix::

fuzz: setup ## an hour of libFuzzer on every reader of what others may have made
	@scripts/fuzz 3600

fuzz-api: build ## send the daemon thousands of requests made from its own description
	@scripts/fuzz-api

clean: ## remove what was built
	cargo clean
