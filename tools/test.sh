#!/usr/bin/env bash
# The tests, from a fresh clone: makes .venv, installs the package, checks style and types, runs pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh dev
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# A worker that is done takes tests from the other: some take a minute, most a millisecond.
exec .venv/bin/python -m pytest -n 2 --dist worksteal "$@"
