# Every target does its own set-up: a machine with make, bash, Node 20 or later and npm is enough. The Node
# that the programs need comes from npm, into node_modules/.bin, which stands first in PATH here.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

JEST := node --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js
INSTALLED := node_modules/.package-lock.json

# For `make images`: docker, podman or buildah; what stands before and after each image's name; the image below them
# (empty: the Dockerfile's own), and the one below lockdown's, which has iptables (empty: it is made). The tag is by
# default the one that the chart pulls.
ENGINE ?= docker
REGISTRY ?= localhost
TAG ?= $(shell sed -n "s/^appVersion: //p" charts/chaperone/Chart.yaml)
BASE ?=
LOCKDOWN_BASE ?=
IMAGES := operator sidecar collector chaperone
BUILD_IMAGE = $(ENGINE) build $(if $(BASE),--build-arg BASE=$(BASE))

.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster types lint unit integration fuzz oracle bench profile build chart images clean soak

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

$(INSTALLED): package.json package-lock.json .npmrc $(wildcard */package.json)
	npm ci --no-engine-strict --loglevel=error
	@touch $@

demo: $(INSTALLED) ## watch a real PostgreSQL being governed; KEEP=1 leaves it running
	@node scripts/demo.ts $(if $(KEEP),--keep)

test: types lint ## everything but the cluster tests
	$(JEST) --selectProjects unit integration

test-cluster: $(INSTALLED) ## tests on a real Kubernetes of this machine's own: Linux, root, Go and kubectl; the rest is installed
	@node test/cluster/run.ts $(if $(ONLY),--testPathPatterns $(ONLY))

types: $(INSTALLED) ## type-check
	tsc --noEmit

lint: $(INSTALLED) ## format, lint and import directions
	biome check .
	node scripts/check-imports.ts

unit: $(INSTALLED) ## unit tests
	$(JEST) --selectProjects unit

integration: $(INSTALLED) ## tests with processes, sockets and real databases
	$(JEST) --selectProjects integration

fuzz: $(INSTALLED) ## fuzz for SECONDS=60 each; ONLY=codec: some of it; a failure prints its seed
	CHAPERONE_FUZZ_SECONDS=$(or $(SECONDS),60) $(JEST) --selectProjects integration --testPathPatterns 'test/fuzz/$(ONLY)'

oracle: $(INSTALLED) ## the oracles at length: RUNS=5000 each; ONLY=operations, texts or masking; SEED=N begins there
	CHAPERONE_RUNS=$(or $(RUNS),5000) $(if $(SEED),CHAPERONE_SEED=$(SEED)) $(JEST) --selectProjects integration --testPathPatterns 'test/oracle/$(ONLY)'

bench: $(INSTALLED) ## measure against direct connections
	node test/bench/bench.ts

profile: $(INSTALLED) ## where the gateway's time goes under load; UNIX=1: over sockets, CLIENTS=N
	node test/bench/profile.ts $(if $(UNIX),--unix) $(if $(CLIENTS),--clients $(CLIENTS))

soak: $(INSTALLED) ## drivers' pools for 20 minutes: nothing grows, and the record is true; SECONDS=… for another time
	node test/soak/soak.ts --json .bench/soak.json $(if $(SECONDS),--seconds $(SECONDS))

build: $(INSTALLED) ## one bundle per program, in dist/
	node scripts/build.ts

chart: $(INSTALLED) ## write what the chart takes from crds/ and values.yaml; lint and render it where helm is
	node scripts/generate-chart.ts
	@if ! command -v helm >/dev/null; then echo 'chart: no helm here: not linted'; exit 0; fi; set -e; \
	for values in charts/chaperone/values-ha.yaml charts/chaperone/ci/*-values.yaml; do \
	  echo "$$values"; \
	  helm lint --strict --quiet charts/chaperone --values $$values; \
	  helm template chaperone charts/chaperone --namespace chaperone-system --values $$values >/dev/null; \
	done

images: $(INSTALLED) ## container images; ENGINE=podman or buildah, REGISTRY=…, TAG=…, BASE=…, LOCKDOWN_BASE=…
	node scripts/build.ts --with-node
	@set -ex; for program in $(IMAGES); do \
	  $(BUILD_IMAGE) --build-arg PROGRAM=$$program --tag $(REGISTRY)/chaperone-$$program:$(TAG) .; \
	done
	$(if $(LOCKDOWN_BASE),,$(BUILD_IMAGE) --file lockdown-base.Dockerfile --tag localhost/chaperone-lockdown-base .)
	$(ENGINE) build --build-arg BASE=$(or $(LOCKDOWN_BASE),localhost/chaperone-lockdown-base) \
	  --build-arg PROGRAM=lockdown --tag $(REGISTRY)/chaperone-lockdown:$(TAG) .

clean: ## remove what was built
	rm -rf dist coverage .bench
