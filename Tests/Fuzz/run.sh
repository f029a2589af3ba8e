#!/usr/bin/env bash
# Builds each fuzz target with libFuzzer and AddressSanitizer and runs it for the given seconds (default 60).
# A crash, a leak of time (over one second for one input) or more than 512 MB ends it with an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds="${1:-60}"
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fuzz NAME MODULE...: compiles the modules in order, then the target, then runs it.
fuzz() {
  local name=$1; shift
  local flags=(-O -swift-version 6 -package-name coffer -sanitize=fuzzer,address -parse-as-library -I "$work/$name" -I Sources/CLibcrypto)
  local objects=()
  mkdir -p "$work/$name" "$work/$name/corpus"
  for module in "$@"; do
    swiftc "${flags[@]}" -wmo -module-name "$module" -emit-module -emit-module-path "$work/$name/$module.swiftmodule" \
      -c -o "$work/$name/$module.o" Sources/"$module"/*.swift
    objects+=("$work/$name/$module.o")
  done
  swiftc "${flags[@]}" -wmo -module-name "Fuzz" "Tests/Fuzz/$name.swift" "${objects[@]}" -lcrypto -o "$work/$name/fuzz" 2>"$work/$name/link.log" \
    || { cat "$work/$name/link.log"; return 1; }
  [ -d "Tests/Fuzz/Seeds/$name" ] && cp "Tests/Fuzz/Seeds/$name"/* "$work/$name/corpus/"
  (cd "$work/$name" && ./fuzz corpus -max_total_time="$seconds" -timeout=1 -rss_limit_mb=512 -max_len=4096 -print_final_stats=1 >fuzz.log 2>&1) \
    || { tail -40 "$work/$name/fuzz.log"; echo "fuzz $name: failed"; return 1; }
  echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: //p' "$work/$name/fuzz.log") inputs, no finding"
}

fuzz JSONText StrictJSON
fuzz Parameters SecretMemory HTTPMessages
fuzz Tokens SecretMemory Ciphers StrictJSON KeyRing
