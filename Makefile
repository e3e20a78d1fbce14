# The front door: each target is a command or two; what is built is said in CMakeLists.txt.

PREFIX ?= /usr/local
SECONDS ?= 60
JOBS ?= $(shell nproc)

PAGES = $(wildcard docs/man/*.[1578])

.PHONY: help deps build run test torture fuzz soak bench bench-quick bench-docs bench-build install uninstall check-format tidy format clean

help:
	@echo 'make build         the relay, as build/release/rvpn'
	@echo 'make run           a relay on port 8000 and a device beside it, to look at'
	@echo 'make test          everything: checks, unit and end-to-end tests, asan, tsan, valgrind'
	@echo 'make torture       fails every allocation and every socket call, one after the other'
	@echo 'make fuzz          each fuzz target for SECONDS=60'
	@echo 'make soak          devices, visitors and faults for SECONDS=60, every byte checked'
	@echo 'make bench         figures beside HAProxy and other tunnels, and the goals: 25 minutes'
	@echo 'make bench-quick   the same with fewer rounds: 8 minutes'
	@echo 'make bench-docs    puts the last figures into docs/benchmarks.md'
	@echo 'make install       into DESTDIR, under PREFIX=/usr/local'
	@echo 'make deps          installs the packages that building needs (Debian)'
	@echo 'make check-format  layout;  make format sets it right'
	@echo 'make tidy          clang-tidy'
	@echo 'make clean'

deps:
	@tools/deps.sh

build:
	@command -v cmake >/dev/null || { echo 'cmake is missing; install it with: make deps'; exit 1; }
	@cmake --preset release --log-level=WARNING
	@cmake --build build/release -j $(JOBS)

run:
	@tools/deps.sh --run
	@$(MAKE) --no-print-directory build
	@examples/run.sh

test:
	@tools/deps.sh --test
	@python3 tools/test.py

torture:
	@tools/deps.sh --test
	@cmake --preset asan --log-level=WARNING
	@cmake --build build/asan -j $(JOBS)
	@cd tests/e2e && { test -d node_modules || npm ci --no-audit --no-fund; } && \
	    RVPN_TORTURE=all RVPN_BIN=$(CURDIR)/build/asan/rvpn RVPN_E2E_SLOWNESS=3 \
	    node --test torture.test.mjs

fuzz:
	@tools/deps.sh --test
	@tools/fuzz.sh $(SECONDS)

soak:
	@tools/deps.sh --run
	@[ -n "$(RVPN_BIN)" ] || $(MAKE) --no-print-directory build
	@cd tests/e2e && { [ node_modules/.package-lock.json -nt package-lock.json ] || \
	    npm ci --no-audit --no-fund; }
	@node tests/soak/soak.mjs $(SECONDS)

bench-build:
	@tools/deps.sh --bench
	@$(MAKE) --no-print-directory build
	@cmake --preset release -B build/unmetered -DRVPN_METER=OFF --log-level=WARNING
	@cmake --build build/unmetered -j $(JOBS) --target rvpn

bench: bench-build
	@bench/run.sh bench

bench-quick: bench-build
	@bench/run.sh quick

bench-docs:
	@node bench/docs.mjs

install:
	@test -x build/release/rvpn || { echo 'nothing is built yet: make build'; exit 1; }
	install -D -m 755 build/release/rvpn $(DESTDIR)$(PREFIX)/bin/rvpn
	@$(foreach page,$(PAGES),install -D -m 644 $(page) \
	    $(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)) &&) true

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/rvpn
	@$(foreach page,$(PAGES),rm -f \
	    $(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)) &&) true

check-format:
	@tools/format.sh --check

format:
	@tools/format.sh

tidy:
	@cmake --preset asan --log-level=WARNING
	@tools/tidy.sh build/asan $(JOBS)

clean:
	rm -rf build
