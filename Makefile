# make run      install what is missing, build, start nginx and cofferd, print the URL and the keys
# make test     install what is missing and run everything CI runs
# make bench    time both dialects beside a C echo and nginx's own files
# make bench-full  the same, with few clients, a million secrets and an OpenHands agent server; BENCH=--write for docs/performance.md
# make nightly  the tests with the long numbers, and a report of what each reached: .build/nightly.md (ONLY=T20,T31 for some)
# make deb      the Debian package: .build/deb/coffer_VERSION_ARCHITECTURE.deb
# make sbom     the bill of materials of the two programs: .build/coffer.cdx.json (CycloneDX)
# make mutants  plant faults into the product, one at a time: each must turn its test red (ONLY=word for some)
# make build    release build: .build/release/coffer and .build/release/cofferd
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.PHONY: build run test deps deps-test lint unit sanitizers fuzz end-to-end bench bench-full nightly mutants deb sbom clean

# Where `make run` keeps its store.
DIR ?= $(HOME)/.coffer
ADDRESS ?= 127.0.0.1:8443
FUZZ_SECONDS ?= 30
ONLY ?=
# Options of the benchmarks: --quick, --only WORD, --save FILE, --write.
BENCH ?=

BUILD_PACKAGES := libfcgi-dev libssl-dev libsqlite3-dev libcurl4-openssl-dev
RUN_PACKAGES := nginx openssl curl
TEST_PACKAGES := e2fsprogs python3 python3-venv python3-cryptography python3-dotenv nodejs tmux sqlite3 strace faketime gcc libc6-dev apache2-bin libapache2-mod-fcgid
PACKAGE_PACKAGES := binutils debhelper dpkg-dev python3
NIGHTLY_PACKAGES := wrk mmdebstrap systemd $(PACKAGE_PACKAGES)
BENCH_PACKAGES := wrk gcc libc6-dev python3 python3-venv

# What the runtime needs of libstdc++ goes into the programs, where the archive is at hand: a megabyte less in memory. Nothing but
# `free` is exported, which the other libraries are to find (decision 46).
STATIC := $(CURDIR)/.build/static
# lld, which comes with Swift, packs the relocations (decision 59).
LINKER := -Xswiftc -use-ld=lld -Xlinker -z -Xlinker pack-relative-relocs -Xlinker --no-export-dynamic -Xlinker --gc-sections -Xlinker -s
RELEASE := -c release --static-swift-stdlib -Xswiftc -L$(STATIC) $(LINKER)
# Beside the address sanitizer: what is undefined in the parts in C ends the program, without a library that would report it.
export UNDEFINED_IN_C := -Xcc -fsanitize=undefined -Xcc -fsanitize-trap=undefined
# A crash must not print memory, and must not wait for a debugger.
export SWIFT_BACKTRACE := enable=no

# $(call install,packages): installs those Debian packages that are missing.
define install
missing=(); for package in $(1); do dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || missing+=($$package); done; \
if [ $${#missing[@]} -gt 0 ]; then \
  echo "installing $${missing[*]}"; sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
  $$sudo apt-get update -qq; \
  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; \
fi
endef

deps:
	@command -v swift >/dev/null || { echo "Swift 6.3 is needed: https://www.swift.org/install/linux/"; exit 1; }
	@$(call install,$(BUILD_PACKAGES) $(RUN_PACKAGES))

deps-test: deps
	@$(call install,$(TEST_PACKAGES))
	@command -v chromium >/dev/null || { $(call install,chromium); } || echo "no Chromium: the client module is tested in Node only"

build: deps
	@mkdir -p $(STATIC); archive=$$("$$(dirname "$$(readlink -f "$$(command -v swift)")")/clang" -print-file-name=libstdc++.a); \
	if [[ $$archive = /* ]]; then echo "INPUT($$archive)" >$(STATIC)/libstdc++.so; fi
	swift build $(RELEASE)

run: build
	.build/release/coffer up --dir "$(DIR)" --https "$(ADDRESS)"

lint: deps-test
	swift format lint --strict -r Package.swift Sources Tests
	python3 Tests/Architecture/imports.py

unit: deps-test
	swift build --build-tests
	swift test --skip-build

test: deps-test lint unit build sanitizers fuzz end-to-end

sanitizers: deps-test
	ASAN_OPTIONS=detect_leaks=0 swift test --scratch-path .build-address --sanitize=address $(UNDEFINED_IN_C)
	swift test --scratch-path .build-thread --sanitize=thread

fuzz: deps-test
	Tests/Fuzz/run.sh $(FUZZ_SECONDS)

end-to-end: build
	Tests/EndToEnd/run.sh

nightly: deps-test build
	@$(call install,$(NIGHTLY_PACKAGES))
	swift build --build-tests
	python3 Tests/Nightly/nightly.py --only "$(ONLY)"

deb: build
	@$(call install,$(PACKAGE_PACKAGES))
	conf/debian/build

sbom: build
	@$(call install,python3 dpkg-dev)
	conf/debian/sbom .build/release/coffer .build/release/cofferd >.build/coffer.cdx.json

bench: build
	@$(call install,$(BENCH_PACKAGES))
	python3 Tests/Benchmarks/bench.py $(BENCH)

bench-full: build
	@$(call install,$(BENCH_PACKAGES))
	python3 Tests/Benchmarks/bench.py --full $(BENCH)

mutants: deps-test
	python3 Tests/Mutants/mutants.py --only "$(ONLY)"

clean:
	rm -rf .build .build-address .build-thread
