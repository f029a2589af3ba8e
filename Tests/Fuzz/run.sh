#!/usr/bin/env bash
# Builds each fuzz target with libFuzzer and AddressSanitizer and runs it for the given seconds (default 60). A second argument
# names the only one.
# A crash, a leak of time (over one second for one input) or more than 512 MB ends it with an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds="${1:-60}"
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0
only="${2:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fuzz NAME MODULE...: compiles the modules in order, then the target, then runs it. MODULE:FILE,FILE takes some of its files.
fuzz() {
  local name=$1; shift
  [ -z "$only" ] || [ "$only" = "$name" ] || return 0
  local flags=(-O -swift-version 6 -package-name coffer -sanitize=fuzzer,address -parse-as-library -I "$work/$name" -I Sources/CLibcrypto)
  local objects=()
  mkdir -p "$work/$name" "$work/$name/corpus"
  for module in "$@"; do
    local files=(Sources/"${module%%:*}"/*.swift)
    if [[ $module == *:* ]]; then
      IFS=, read -ra files <<<"${module#*:}"
      files=("${files[@]/#/Sources/${module%%:*}/}")
    fi
    module=${module%%:*}
    swiftc "${flags[@]}" -enable-testing -wmo -module-name "$module" -emit-module -emit-module-path "$work/$name/$module.swiftmodule" \
      -c -o "$work/$name/$module.o" "${files[@]}"
    objects+=("$work/$name/$module.o")
  done
  swiftc "${flags[@]}" -wmo -module-name "Fuzz" "Tests/Fuzz/$name.swift" "${objects[@]}" -lcrypto -o "$work/$name/fuzz" 2>"$work/$name/link.log" \
    || { cat "$work/$name/link.log"; return 1; }
  [ -d "Tests/Fuzz/Seeds/$name" ] && cp "Tests/Fuzz/Seeds/$name"/* "$work/$name/corpus/"
  (cd "$work/$name" && ./fuzz corpus -max_total_time="$seconds" -timeout=1 -rss_limit_mb=512 -max_len=4096 -print_final_stats=1 >fuzz.log 2>&1) \
    || { tail -40 "$work/$name/fuzz.log"; echo "fuzz $name: failed"; return 1; }
  echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: //p' "$work/$name/fuzz.log") inputs, no finding"
}

# Two at a time: one core each on the smallest machine that builds Coffer.
failed=0 running=0
queue() {
  if [ "$running" -ge 2 ]; then
    wait -n || failed=1
    running=$((running - 1))
  fi
  fuzz "$@" &
  running=$((running + 1))
}

queue JSONText StrictJSON
queue Parameters SecretMemory HTTPMessages
queue Tokens SecretMemory Ciphers StrictJSON KeyRing
queue Sockets SecretMemory HTTPMessages Ciphers StrictJSON SocketRelay:Handshake.swift,Frame.swift
queue Settings SecretMemory StrictJSON Configuration
queue Variables SecretMemory StrictJSON EnvironmentFiles
queue Audit SecretMemory Ciphers StrictJSON KeyRing
while [ "$running" -gt 0 ]; do
  wait -n || failed=1
  running=$((running - 1))
done
exit "$failed"
