#!/bin/bash
# Makes the virtual environment of schemathesis once and prints the path of its Python. On failure says why on standard error
# and exits 1: then the operations of the description are not run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
environment="$here/../../.build/schemathesis"

if [ ! -e "$environment/complete" ]; then
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    { echo "no Python 3.10 or newer with venv is installed" >&2; exit 1; }
  rm -rf "$environment"
  python3 -m venv "$environment" || { echo "no virtual environment could be made" >&2; exit 1; }
  "$environment/bin/pip" install --quiet --requirement "$here/requirements.txt" >&2 ||
    { echo "the packages could not be installed" >&2; exit 1; }
  touch "$environment/complete"
fi
echo "$environment/bin/python"
