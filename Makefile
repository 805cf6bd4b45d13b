# What there is to do here: make help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
LAB := $(BIN)/python -m tests.lab
SEED ?= 1
POLICY_SEED ?= 4
COUNT ?= 120

.DEFAULT_GOAL := help
.PHONY: help demo test check faults matrix matrix-nftables dual-stack policies bench mutants lab lab-down lab-shell lab-conformance popeye build-lab clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): setup.cfg pyproject.toml
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { test "$$(id -u)" = 0 && apt-get update -qq && \
	  apt-get install -y -qq --no-remove python3-venv && $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(READY) ## the tutorial's Service, looked at in a lab of this machine
	$(LAB) up --reuse
	$(LAB) run -- kubectl apply -f examples/deployment.yml -f examples/service.yml
	$(LAB) run -- kubectl rollout status deployment/devops --timeout=120s
	$(LAB) run -- kubectl svcprobe devops
	$(LAB) run -- kubectl apply -f examples/service-node-port.yml
	$(LAB) run -- kubectl svcprobe devops
	@echo
	@echo 'The lab runs on: make lab-shell is a shell to break things in, make lab-down ends it.'

test: $(READY) ## every test but those of make faults and make policies; without root those that need none, and then it fails
	@if [ "$$(id -u)" = 0 ]; then \
	  $(LAB) build && exec $(BIN)/python -m pytest tests -m 'not policies'; \
	else \
	  $(BIN)/python -m pytest tests -m 'not lab and not api'; \
	  echo 'NOT RUN: the tests marked lab and api; they need root on Linux'; exit 1; \
	fi

check: $(READY) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.docs --check

faults: $(READY) ## every fault of tests/faults in the lab, and what is said of it (FAULTS: only these)
	$(LAB) up --reuse
	$(BIN)/python -m tests.faults $(FAULTS)

matrix: $(READY) ## every type of Service by every protocol, and what is said of each (MATRIX: only these)
	$(LAB) up --reuse
	$(BIN)/python -m tests.matrix $(MATRIX)

matrix-nftables: $(READY) ## the same in a lab of its own, with kube-proxy in nftables mode
	$(BIN)/python -m tests.matrix --lab nftables $(MATRIX)

dual-stack: $(READY) ## every type of Service with IPv4 and IPv6, in a lab of its own
	$(BIN)/python -m tests.matrix --lab dual-stack $(MATRIX)

policies: $(READY) ## NetworkPolicies by chance: what is foretold, against real packets (POLICY_SEED: other ones)
	$(LAB) up --reuse
	SVCPROBE_POLICY_SEED=$(POLICY_SEED) $(BIN)/python -m pytest -s tests/e2e/test_policies.py tests/e2e/test_young_pods.py

.PHONY: nodes-nftables
nodes-nftables: $(READY) ## what each node sees, in a lab of its own with kube-proxy in nftables mode
	export LAB_HOME=$$(mktemp -d /tmp/lab-XXXXXX)/lab; \
	$(LAB) up --proxy-mode nftables && $(BIN)/python -m pytest tests/e2e/test_all_nodes.py; \
	code=$$?; $(LAB) down; rm -rf "$$(dirname $$LAB_HOME)"; exit $$code

bench: $(READY) ## how fast it is
	$(LAB) up --reuse
	$(BIN)/python -m tests.bench

mutants: $(READY) ## whether the tests notice small faults in the code
	$(BIN)/python -m tests.mutants --seed $(SEED) --count $(COUNT)

lab: $(READY) ## start the lab, unless it runs
	$(LAB) up --reuse

lab-down: ## stop the lab
	$(LAB) down

lab-shell: lab ## a shell on the user's machine of the lab
	$(LAB) shell

lab-conformance: $(READY) ## whether the lab enforces NetworkPolicies as it should (12 min), into docs/lab-conformance.md
	$(BIN)/python -m tests.peers.conformance --write

popeye: $(READY) ## the faults as popeye sees them, into docs/comparison.md
	$(BIN)/python -m tests.peers.comparison --write

build-lab: $(READY) ## build what the lab is made of (minutes, the first time)
	$(LAB) build

clean: ## remove what was built here; the lab's cache stays
	rm -rf .venv build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis mutants
