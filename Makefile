# `make demo` and `make test` do all the set-up on a fresh machine.
SHELL := /bin/bash
NPM_RUN := npm run --silent

.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster unit integration lint types bench build image clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

node_modules/.package-lock.json: package.json package-lock.json .npmrc $(wildcard */package.json)
	npm ci --no-engine-strict --loglevel=error
	@touch $@

lint: node_modules/.package-lock.json ## format, lint and import directions
	$(NPM_RUN) lint

types: node_modules/.package-lock.json ## type-check
	$(NPM_RUN) types

unit: node_modules/.package-lock.json ## unit tests
	$(NPM_RUN) unit

build: node_modules/.package-lock.json ## one bundle per program, in dist/
	$(NPM_RUN) build

clean: ## remove what was built
	rm -rf dist coverage .bench
