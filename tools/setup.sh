#!/usr/bin/env bash
# Makes .venv and installs the package into it with the tested versions: tools/setup.sh [extras]
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "mmad needs Python 3.11 or later; found $("$python" --version). Set PYTHON=..." >&2
    exit 2
}
extras="${1:+[$1]}"
stamp=".venv/.installed-${1:-plain}"
# An installation with extras includes the plain package.
[ -n "$extras" ] || [ ! -f .venv/.installed-dev ] || stamp=.venv/.installed-dev
if [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
    [ -d .venv/bin ] || [ -d .venv/Scripts ] || "$python" -m venv .venv
    source tools/programs.sh
    # Python compiles what is imported when it is; of some packages that is a tenth.
    "$programs/python" -m pip install --quiet --no-compile --disable-pip-version-check \
        -c constraints.txt -e ".$extras"
    touch "$stamp"
fi
