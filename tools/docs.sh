#!/usr/bin/env bash
# The site of docs/, below site/; a broken link or a page that none leads to is an error: tools/docs.sh [options of mkdocs]
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh docs
source tools/programs.sh
exec "$programs/python" -m mkdocs build --strict "$@"
