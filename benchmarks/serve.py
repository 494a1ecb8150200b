"""One uvicorn process: `python -m benchmarks.serve MODULE:NAME` prints its port and versions as JSON.

`--factory`: NAME makes the application. The same options for every peer: uvloop, httptools, no access log.
"""

from __future__ import annotations

import argparse
import json
import socket
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

import uvicorn

_PACKAGES = (
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "redis",
    "hiredis",
    "itsdangerous",
    "starsessions",
)


def versions() -> dict[str, str]:
    """Of Python and of what an application here may use."""
    found = {"python": python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("app")
    parser.add_argument("--factory", action="store_true")
    args = parser.parse_args()
    config = uvicorn.Config(
        args.app,
        factory=args.factory,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=60,  # clients wait for one another while their conversations are made
    )
    config.load()  # so that who reads the port knows that the application is there
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        print(json.dumps({"port": listener.getsockname()[1], "versions": versions()}), flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
