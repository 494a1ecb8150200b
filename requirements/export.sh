#!/bin/sh
# Writes requirements/{server,operator,dev}.txt from the workspace's pyproject files: pinned, with hashes, naming no index.
set -eu
cd "$(dirname "$0")/.."
uv lock --quiet
export_to() {
    out=$1
    shift
    uv export --quiet --frozen --no-emit-workspace --no-header --no-annotate --format requirements-txt "$@" > "requirements/$out.txt"
}
export_to server --package chatstream-server --no-dev
export_to operator --package chatstream-operator --no-dev
export_to dev --all-packages --group dev
# The build backend that the images use, so that building a wheel there takes nothing unpinned.
sed -n 's/^requires = \["\(hatchling==[0-9.]*\)"\]$/\1/p' server/pyproject.toml |
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --output-file requirements/build.txt -
