"""Debian packages: what is missing is installed, what is there is left alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from devcluster.commands import run
from devcluster.errors import CannotContinue, CommandFailed

PACKAGES = (
    "buildah",
    "busybox-static",
    "ca-certificates",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "iproute2",
    "kmod",
    "mmdebstrap",
    "mount",
    "nftables",
    "nginx-light",
    "openssl",
    "runc",
    "util-linux",
)
# Each of these stands for a package and is what the tool really needs: any way of having it is good.
PROVIDED_BY = {"nginx-light": "nginx"}
SERVICES = ("containerd", "nginx", "redis-server")
POLICY = Path("/usr/sbin/policy-rc.d")
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def installed() -> set[str]:
    """The names of all packages that dpkg calls installed."""
    lines = run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n"]).stdout.splitlines()
    return {line.split()[0] for line in lines if line.endswith(" installed")}


def missing(have: set[str], names: Sequence[str] = PACKAGES) -> list[str]:
    """Of the packages needed, those that are not there."""
    absent = [name for name in names if name not in have]
    return [name for name in absent if name not in PROVIDED_BY or shutil.which(PROVIDED_BY[name]) is None]


def ensure(names: Sequence[str] = PACKAGES) -> str:
    """Install what is missing; CannotContinue when this is no Debian or the mirror cannot be reached."""
    if shutil.which("apt-get") is None:
        raise CannotContinue(
            "`make up` installs Debian packages; this machine has no apt-get. Use Debian 12 or newer."
        )
    wanted = missing(installed(), names)
    if not wanted:
        return "all there"
    before = enabled_services()
    try:
        _install(wanted)
    except CommandFailed as error:
        raise CannotContinue(
            f"Could not install {', '.join(wanted)}. Is the Debian mirror reachable from here "
            f"(`apt-get update`)?\n{error}"
        ) from error
    _disable(enabled_services() - before)
    return f"installed {', '.join(wanted)}"


def enabled_services() -> set[str]:
    """Of the daemons that come with the packages, those that systemd starts at boot."""
    if shutil.which("systemctl") is None:
        return set()
    return {name for name in SERVICES if run(["systemctl", "is-enabled", name], check=False).returncode == 0}


def _install(names: list[str]) -> None:
    # The packages' own daemons must not start: this tool runs them with configurations of its own.
    own_policy = not POLICY.exists()
    if own_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        run(["apt-get", "update", "-q"], env=ENVIRONMENT, timeout=300)
        flags = ["-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]
        run(["apt-get", "install", *flags, *names], env=ENVIRONMENT, timeout=1200)
    finally:
        if own_policy:
            POLICY.unlink(missing_ok=True)


def _disable(names: set[str]) -> None:
    for name in sorted(names):
        run(["systemctl", "disable", name], check=False)
