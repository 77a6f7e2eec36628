#!/usr/bin/env bash
# The tests, from a fresh clone: makes .venv, installs the package, checks style and types, runs pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh dev
source tools/programs.sh
"$programs/ruff" check .
"$programs/ruff" format --check .
"$programs/mypy"
# A worker that is done takes tests from the other: some take a minute, most a millisecond.
exec "$programs/python" -m pytest -n 2 --dist worksteal "$@"
