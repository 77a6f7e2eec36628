#!/usr/bin/env bash
# The wheel and the sdist of the last commit, of the same bytes on every machine: tools/build.sh [OUT]
# OUT is "dist". What is not committed is not in them.
set -euo pipefail
out="${1:-dist}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
cd "$(dirname "$0")/.."
bash tools/setup.sh dev
source tools/programs.sh
clean="$(mktemp -d)"
trap 'rm -rf "$clean"' EXIT
git archive HEAD | tar -x -C "$clean"
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
"$programs/python" -m build --no-isolation --outdir "$out" "$clean"
(cd "$out" && "$programs/python" -c '
import hashlib, pathlib
for path in sorted(pathlib.Path().glob("mmad-*")):
    print(hashlib.sha256(path.read_bytes()).hexdigest(), path)
')
