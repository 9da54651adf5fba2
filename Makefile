# Front door; the build itself is Meson's. Trees: build (release, the programs in build/bin), build-asan (tests, under
# sanitizers, with failpoints), build-bench (release, with the programs of tests/load).
PY     := /usr/bin/python3
JOBS   ?= $(shell nproc)
DATA   ?= ../shared/data
N      ?=
PROGRAMS := certctl-server certctl-signer certctl-agent certctl-cli
PYTEST := $(PY) -m pytest -q -p no:cacheprovider
# A folder that gains a meson.build is found only by configuring again.
MESON  := meson.build meson_options.txt $(shell find src tests tools fuzz -name meson.build)
HARD   := --buildtype=release -Doptimization=2 -Db_pie=true

.PHONY: build run test lint docs bench test-newcomer test-http-strict test-der test-signer test-kill mutate clean setup
.DEFAULT_GOAL := build

setup:
	@tools/setup.sh $(or $(STEP),test)

build: build/build.ninja
	@tools/build.sh build $(PROGRAMS)
	@echo "build: programs are in build/bin"

build/build.ninja: $(MESON)
	@tools/setup.sh run
	@tools/configure.sh build $(HARD) -Dtests=false

build-asan/build.ninja: $(MESON)
	@tools/setup.sh test
	@tools/configure.sh build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dfailpoints=true

build-bench/build.ninja: $(MESON)
	@tools/setup.sh test
	@tools/configure.sh build-bench $(HARD)

run:
	@tools/setup.sh run
	@ONCE=$(ONCE) tools/run.sh

# LIST=1 prints the names; SUITE=unit,lint,scenario runs some of the suites.
test: build-asan/build.ninja
	@$(PY) tools/test.py $(if $(LIST),--list) $(if $(SUITE),--suite $(SUITE)) --jobs $(JOBS)

lint:
	@tools/setup.sh test
	@$(PY) tools/lint.py
	@$(PY) tools/sql_lint.py

docs: build-asan/build.ninja
	@ninja -C build-asan --quiet docs

bench: build-bench/build.ninja
	@ninja -C build-bench -j$(JOBS) --quiet
	@$(PY) tests/load/bench.py --build build-bench

test-newcomer:
	@tools/setup.sh newcomer
	@tools/newcomer.sh

test-http-strict test-signer: build-asan/build.ninja
	@ninja -C build-asan -j$(JOBS) --quiet
	@BUILD=build-asan $(PYTEST) tests/scenario/$(subst -,_,$@).py

test-der: build-bench/build.ninja
	@ninja -C build-bench -j$(JOBS) --quiet tests/unit/x509/test_der
	@build-bench/tests/unit/x509/test_der $(or $(N),100000) $(DATA)/certificates.jsonl

test-kill: build-asan/build.ninja
	@ninja -C build-asan -j$(JOBS) --quiet
	@BUILD=build-asan $(PY) tests/kill/kill.py $(or $(N),170)

mutate: build-asan/build.ninja
	@$(PY) tools/mutate.py --jobs $(JOBS)

clean:
	@rm -rf build build-asan build-bench build-mutate
