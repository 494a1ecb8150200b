#!/bin/sh
# Makes the Python environment: `devcluster/bootstrap.sh VENV`. Installs python3 with venv, and ca-certificates, when
# they are missing; takes uv and everything else from the machine's package index, each checked against its hash.
set -eu
venv=${1:?"usage: devcluster/bootstrap.sh VENV"}
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/chatstream-dev

say() { printf 'bootstrap: %s\n' "$*"; }

missing_packages() {
    # ensurepip is what Debian splits off into python3-venv.
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3 python3-venv
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

install_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "please install these Debian packages, then run make again: $*"
        exit 2
    fi
    say "installing $*"
    DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >/dev/null
}

packages=$(missing_packages)
# shellcheck disable=SC2086  # one word for each package
[ -z "$packages" ] || install_packages $packages

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "Python 3.11 or newer is needed; python3 is $(python3 --version). Use Debian 12 or newer."
    exit 2
fi

uv=$cache/uv-venv/bin/uv
wanted=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' devcluster/tools/uv.txt)
if [ "$("$uv" --version 2>/dev/null | cut -d' ' -f2)" != "$wanted" ]; then
    say "installing uv $wanted into $cache/uv-venv"
    rm -rf "$cache/uv-venv"
    python3 -m venv "$cache/uv-venv"
    "$cache/uv-venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r devcluster/tools/uv.txt || { say "pip cannot install uv: is the package index reachable?"; exit 2; }
fi

export UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR="${UV_CACHE_DIR:-$cache/uv}"
say "Python environment in $venv"
if ! "$venv/bin/python" -c '' 2>/dev/null; then
    "$uv" venv --quiet --clear --python "$(command -v python3)" "$venv"
fi
export VIRTUAL_ENV="$venv"
"$uv" pip sync --quiet --require-hashes requirements/dev.txt
"$uv" pip install --quiet --no-deps -e server -e operator
