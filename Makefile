# The command contract. `make demo` and `make test` install what they need and work again, offline, once they have.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
T ?= 60
SEEDS ?= 1000
FLEETS ?= 20
NODE := node --import tsx

.PHONY: demo test check wasm bench fuzz sim eval clean install

node_modules/.installed: package.json package-lock.json
	@bash scripts/install.sh
	@touch $@

install: node_modules/.installed

wasm: install
	@$(NODE) scripts/build.ts

demo: install
	@$(NODE) scripts/build.ts --serving
	@exec $(NODE) demo/run.ts

test: install
	@$(NODE) scripts/test.ts

check: install
	@$(NODE) scripts/check.ts

bench: install
	@$(NODE) scripts/build.ts
	@$(NODE) bench/run.ts

eval: install
	@$(NODE) bench/eval.ts

fuzz: install
	@$(NODE) test/fuzz/run.ts $(T)

sim: install
	@$(NODE) test/sim/run.ts --seeds $(SEEDS) --fleets $(FLEETS)

clean:
	rm -rf build dist
