#!/usr/bin/env bash
# A CycloneDX list of all that a plain installation of a wheel brings with it: tools/sbom.sh WHEEL OUT.json
set -euo pipefail
wheel="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
mkdir -p "$(dirname "$2")"
out="$(cd "$(dirname "$2")" && pwd)/$(basename "$2")"
cd "$(dirname "$0")/.."
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python="${PYTHON:-python3}"
for name in plain tool; do
    "$python" -m venv "$folder/$name"
done
bin=bin
[ ! -d "$folder/plain/Scripts" ] || bin=Scripts
"$folder/plain/$bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt "$wheel"
"$folder/tool/$bin/python" -m pip install --quiet --disable-pip-version-check "cyclonedx-bom>=7,<8"
"$folder/tool/$bin/cyclonedx-py" environment --output-reproducible --of JSON -o "$out" \
    "$folder/plain/$bin/python"
