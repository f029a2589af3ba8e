#!/bin/bash
# The product itself under a sanitizer, with nginx before it: `sanitized.sh address` or `sanitized.sh thread`. Modules that measure memory or
# time are left out, and those that set the clock with a library that comes before the sanitizer's. Exit 1 on a report or a failed test.
set -u
cd "$(dirname "$0")/../.."
sanitizer=$1
modules=(
  test_settings test_tenants test_scoped test_scoped_contract test_changed_rows test_agent_commands test_operator_commands test_keeping
  test_wire_keys test_root_rotation test_moving test_backup test_upgrade test_headers test_audit test_audit_heads test_canary_secrets
  test_conversations test_agent_servers test_histories test_restart
)
[ "$sanitizer" = address ] || UNDEFINED_IN_C=
# As `make sanitizers` builds it.
# shellcheck disable=SC2086
swift build --scratch-path ".build-$sanitizer" --sanitize="$sanitizer" ${UNDEFINED_IN_C-} || exit 1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# What the tests start has a small environment: the options come with the program. Of leaks nothing is asked: the search takes what Swift's
# globals hold for lost, and what grows, T37 tells.
for program in coffer cofferd; do
  cat >"$folder/$program" <<WORDS
#!/bin/bash
export ASAN_OPTIONS=detect_leaks=0:log_path=$folder/report TSAN_OPTIONS=log_path=$folder/report
exec -a $folder/$program $PWD/.build-$sanitizer/debug/$program "\$@"
WORDS
  chmod 755 "$folder/$program"
done
failed=0
for name in "${modules[@]}"; do
  (cd Tests/EndToEnd && COFFER_BIN=$folder timeout 900 /usr/bin/python3 -W error::ResourceWarning -m unittest "$name") || failed=1
done
for report in "$folder"/report.*; do
  [ -e "$report" ] || continue
  cat "$report"
  failed=1
done
[ $failed -eq 0 ] && echo "T82 reached: ${#modules[@]} modules of tests against the product under the $sanitizer sanitizer, 0 reports"
exit $failed
