#!/bin/bash
# Everything that runs against real processes, in order: the nginx files, the product, the replay of
# recorded exchanges. COFFER_BIN names another folder of executables. The last line says how it went.
set -u
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1 COFFER_BIN="${COFFER_BIN:-$PWD/.build/release}"
PYTHON="${PYTHON:-/usr/bin/python3}"
passed=0 failed=0
report=$(mktemp)
trap 'rm -f "$report"' EXIT

# One unittest module; its tests are counted one by one, a failed subtest as its test.
module() {
  local ran bad
  echo "== $1"
  (cd Tests/EndToEnd && timeout 900 "$PYTHON" -W error::ResourceWarning -m unittest "$1") >"$report" 2>&1
  local status=$?
  ran=$(sed -n 's/^Ran \([0-9]*\) tests\{0,1\} in .*/\1/p' "$report" | tail -1)
  if [ $status -eq 0 ] && [ -n "$ran" ]; then
    passed=$((passed + ran))
    grep -E '^Ran |skipped|COFFER_SEED=| reached: ' "$report"
  else
    bad=$(grep -E '^(FAIL|ERROR): ' "$report" | awk '{print $2}' | sort -u | wc -l)
    [ "$bad" -gt 0 ] || bad=1
    failed=$((failed + bad))
    [ "${ran:-0}" -gt "$bad" ] && passed=$((passed + ran - bad))
    cat "$report"
  fi
}

modules=(
  test_benchmarks
  test_nginx
  test_init
  test_settings
  test_tenants
  test_scoped
  test_scoped_contract
  test_changed_rows
  test_agent_commands
  test_operator_commands
  test_clock
  test_envelopes
  test_keeping
  test_wire_keys
  test_key_sources
  test_escrow
  test_rotation
  test_root_rotation
  test_seal
  test_moving
  test_backup
  test_upgrade
  test_roundtrip
  test_headers
  test_audit
  test_audit_heads
  test_hostile_body
  test_canary
  test_canary_secrets
  test_conversations
  test_sockets
  test_agent_servers
  test_clients
  test_environment_files
  test_scan
  test_doctor
  test_looking_inside
  test_parallel
  test_histories
  test_readme
  test_shared_host
  test_restart
  test_crash
)
for name in "${modules[@]}"; do
  module "$name"
done
for file in Tests/EndToEnd/test_*.py; do
  name=$(basename "$file" .py)
  # This script's own text is the list of what it runs.
  grep -qw "$name" Tests/EndToEnd/run.sh || { echo "== $name is run by nobody"; failed=$((failed + 1)); }
done

echo "== the real client and server"
if real=$(Tests/RealServer/environment.sh); then
  PYTHON=$real module test_real_client
  PYTHON=$real module test_real_moving
  PYTHON=$real module test_real_conversations
else
  echo "not run: the tests against the OpenHands client library and agent server"
fi

echo "== test_openapi"
if generator=$(Tests/Schemathesis/environment.sh); then
  PYTHON=$generator module test_openapi
else
  operations=$(grep -c 'Entry(methods:' Sources/SettingsAPI/Route.swift)
  echo "not run: the requests that schemathesis makes for $operations operations"
fi

recordings=Tests/Conformance/recordings
# replay COMMAND RECORDING…: what COMMAND starts answers as the recordings say, or differs by decision.
replay() {
  local counts status command=$1
  shift
  # cofferd refuses COFFER_ variables it does not know.
  timeout 900 env $(compgen -e COFFER_ | sed 's/^/-u /') "$PYTHON" Tests/Conformance/replay.py --decided Tests/Conformance/decided.json --spawn "$command" "$@" \
    >"$report" 2>&1
  status=$?
  cat "$report"
  counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$report" | tail -1)
  if [ -n "$counts" ]; then
    passed=$((passed + ${counts% *})) failed=$((failed + ${counts#* }))
  elif [ $status -ne 0 ]; then
    failed=$((failed + 1))
  fi
}

echo "== replay"
replay "$COFFER_BIN/coffer up --http 127.0.0.1:{port} --insecure-open --dir store" \
  $recordings/auth*.json $recordings/server.json $recordings/schema.json $recordings/settings-*.json $recordings/secrets.json \
  $recordings/mcp.json $recordings/profiles.json $recordings/provider-connections.json $recordings/workspaces.json \
  $recordings/agent-profiles.json

echo "== replay of conversations, with an agent server behind"
if [ -n "$real" ]; then
  replay "$real $PWD/Tests/RealServer/behind_coffer.py $COFFER_BIN/coffer {port}" \
    $recordings/conversations.json $recordings/conversations-encrypted.json
else
  echo "not run: no agent server could be installed"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
