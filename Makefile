# Every target does its own set-up: a machine with make, bash, Node 20 or later and npm is enough. The Node
# that the programs need comes from npm, into node_modules/.bin, which stands first in PATH here.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

JEST := node --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js
INSTALLED := node_modules/.package-lock.json

# For `make image`: the engine, the name, and the image below (empty: the Dockerfile's own).
ENGINE ?= docker
IMAGE ?= chaperone:dev
BASE ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster types lint unit integration bench build image clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

$(INSTALLED): package.json package-lock.json .npmrc $(wildcard */package.json)
	npm ci --no-engine-strict --loglevel=error
	@touch $@

demo: $(INSTALLED) ## watch a real PostgreSQL being governed; KEEP=1 leaves it running
	@node scripts/demo.ts $(if $(KEEP),--keep)

test: types lint ## everything but the cluster tests
	$(JEST) --selectProjects unit integration

test-cluster: ## nothing yet: cluster tests come with the operator
	@echo "test-cluster: there are no cluster tests yet (they come with the operator); nothing was run."

types: $(INSTALLED) ## type-check
	tsc --noEmit

lint: $(INSTALLED) ## format, lint and import directions
	biome check .
	node scripts/check-imports.ts

unit: $(INSTALLED) ## unit tests
	$(JEST) --selectProjects unit

integration: $(INSTALLED) ## tests with processes, sockets and real databases
	$(JEST) --selectProjects integration

bench: $(INSTALLED) ## measure against direct connections
	node test/bench/bench.ts

build: $(INSTALLED) ## one bundle per program, in dist/
	node scripts/build.ts

image: build ## container image; ENGINE=podman or buildah, BASE=…, IMAGE=…
	cp -fL "$$(command -v node)" dist/node
	$(ENGINE) build $(if $(BASE),--build-arg BASE=$(BASE)) --tag $(IMAGE) .

clean: ## remove what was built
	rm -rf dist coverage .bench
