#!/bin/sh
# Inside the container: `run.sh [pytest arguments]`. The repository is at /repository, read-only; the tests get a
# copy of it, and the product as the wheels that the images hold.
set -eu
cd /src
tar --create --directory /repository --exclude './.*' --exclude __pycache__ --exclude ./build . | tar --extract
quietly="--quiet --no-deps"
# shellcheck disable=SC2086  # one word for each option
/opt/tools/bin/pip wheel $quietly --no-build-isolation --wheel-dir /tmp/wheels ./server ./operator
# shellcheck disable=SC2086
/opt/tools/bin/pip --python /opt/tests/bin/python install $quietly /tmp/wheels/*.whl
exec /opt/tests/bin/python -m pytest "$@"
