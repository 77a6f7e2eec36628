#!/usr/bin/env bash
# The tests, from a fresh clone: makes .venv, installs the package, checks style and types, runs pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh dev
source tools/programs.sh
"$programs/ruff" check .
"$programs/ruff" format --check .
# mypy has one process, so it runs beside the tests.
types="$(mktemp)"
"$programs/mypy" > "$types" 2>&1 &
checking=$!
trap 'kill "$checking" 2> /dev/null || true; rm -f "$types"' EXIT
# A worker that is done takes tests from the other: some take a minute, most a millisecond.
failed=0
"$programs/python" -m pytest -n 2 --dist worksteal "$@" || failed=$?
wait "$checking" || failed=1
cat "$types"
exit "$failed"
