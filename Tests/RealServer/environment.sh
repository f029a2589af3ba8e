#!/bin/bash
# Makes the virtual environment of the real client library once and prints the path of its Python. On failure says why on
# standard error and exits 1: then the tests against the real library are not run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
environment="$here/../../.build/real-server"
release=1.43.1

find_python() {
  local candidate
  for candidate in python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python3; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && { echo "$candidate"; return 0; }
  done
  return 1
}

if [ ! -e "$environment/complete" ]; then
  python=$(find_python) || { echo "no Python 3.12 or newer with venv is installed" >&2; exit 1; }
  rm -rf "$environment"
  "$python" -m venv "$environment" || { echo "no virtual environment could be made" >&2; exit 1; }
  { "$environment/bin/pip" install --quiet uv && "$environment/bin/uv" pip install --quiet --python "$environment/bin/python" \
      -c "$here/constraints.txt" openhands-agent-server==$release openhands-sdk==$release openhands-tools==$release; } >&2 ||
    { echo "the packages could not be installed" >&2; exit 1; }
  touch "$environment/complete"
fi
echo "$environment/bin/python"
