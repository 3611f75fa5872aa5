# The commands of this project; `make help` lists them. Each installs what it needs first (setup/install.sh).

.DEFAULT_GOAL := help
.PHONY: demo test test-long test-majors check bench help

# CI builds exactly what Cargo.lock says; at a desk a new dependency may enter it.
LOCKED := $(if $(CI),--locked,)

demo: ## show replication at work on two servers of its own (removed afterwards)
	@setup/install.sh demo
	cargo build $(LOCKED) -p skytools-cli
	target/debug/skytools demo

test: ## run every test: units, SQL, real servers and processes, the original programs
	@setup/install.sh test
	cargo build $(LOCKED) --workspace --bins
	@setup/test.sh $(LOCKED)

test-long: ## search further at random, for about twenty minutes: new seeds each time, and 10 000 queues
	@setup/install.sh test
	@setup/test-long.sh $(LOCKED)

test-majors: ## run the tests of SQL and of capture on PostgreSQL 14, 16, 17 and 18 as well (servers are fetched with npm)
	@setup/other-majors.sh

check: ## formatting, lints, documentation, and the rules on sources and dependencies
	@setup/install.sh check
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --no-deps
	cargo test $(LOCKED) -q -p e2e --test source_rules

bench: ## measure against the original and against PostgreSQL's own means
	@setup/install.sh test
	@if [ -d bench ]; then cargo run $(LOCKED) --release -p bench; else echo "make bench: there is no bench/ yet"; exit 3; fi

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
