"""What must be so before anything is begun; each refusal says what to do."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devcluster import node, paths, processes
from devcluster.errors import CannotContinue
from devcluster.network import DNS_ADDRESS
from devcluster.plane import Ports

GIB = 1 << 30
SPACE_COLD_GIB, SPACE_WARM_GIB = 14, 3
ARCHITECTURES = ("x86_64", "aarch64")
LISTEN = "0A"
ANY = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket, as /proc/net/tcp lists it."""

    address: str
    port: int
    inode: int


def check_machine(*, system: str, machine: str, user: int) -> None:
    """The kind of machine and user."""
    if system != "Linux":
        raise CannotContinue(
            f"The local cluster runs on Linux; this is {system}. Use a Debian virtual machine."
        )
    if machine not in ARCHITECTURES:
        raise CannotContinue(f"Unsupported processor {machine}; supported are {', '.join(ARCHITECTURES)}.")
    if user != 0:
        raise CannotContinue(
            "`make up` mounts, makes network devices and runs containerd: run it as root (sudo make up)."
        )


def check_space(folder: Path, gib: float) -> None:
    """Free space where `folder` is, or will be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / GIB
    if free < gib:
        raise CannotContinue(
            f"{there} has {free:.1f} GiB free, {gib:.0f} GiB are needed: free some, or set HOME elsewhere."
        )


def parse_listeners(table: str) -> Iterator[Listener]:
    """The listening sockets in the text of /proc/net/tcp or tcp6."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTEN:
            address, port = fields[1].split(":")
            yield Listener(_decode(address), int(port, 16), int(fields[9]))


def needed(demo_port: int) -> list[tuple[str, int]]:
    """Every address that the cluster listens on."""
    ports = Ports()
    local = (
        ports.etcd,
        ports.etcd_peer,
        ports.controller_manager,
        ports.scheduler,
        node.KUBELET_HEALTH_PORT,
        node.PROXY_HEALTH_PORT,
        node.PROXY_METRICS_PORT,
        node.DNS_READY_PORT,
        node.DNS_HEALTH_PORT,
        demo_port,
    )
    return [("0.0.0.0", ports.api), ("0.0.0.0", node.KUBELET_PORT), (DNS_ADDRESS, 53)] + [
        ("127.0.0.1", port) for port in local
    ]


def in_the_way(listeners: Iterable[Listener], wanted: Iterable[tuple[str, int]]) -> list[Listener]:
    """The listeners that leave no room for one of the wanted addresses."""
    found = []
    for listener in listeners:
        for address, port in wanted:
            clash = address == listener.address or address in ANY or listener.address in ANY
            if port == listener.port and clash and listener not in found:
                found.append(listener)
    return found


def check_ports(wanted: Iterable[tuple[str, int]], demo_port: int) -> None:
    """Nobody but this cluster listens on the wanted addresses."""
    ours = {processes.session(process.pid) for process, _ in processes.marked(f"{paths.CLUSTER.run}:")}
    for listener in in_the_way(_listeners(), wanted):
        pid = _owner(listener.inode)
        if pid is not None and processes.session(pid) in ours:
            continue
        who = f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})" if pid else "another process"
        remedy = "choose another with `make up PORT=...`" if listener.port == demo_port else "stop it first"
        raise CannotContinue(f"Port {listener.port} is in use by {who}: {remedy}.")


def check(demo_port: int, *, cold: bool) -> None:
    """All of it."""
    check_machine(system=platform.system(), machine=platform.machine(), user=os.geteuid())
    if not 1 <= demo_port <= 65535:
        raise CannotContinue(f"PORT={demo_port} is no port; choose one from 1 to 65535.")
    check_space(paths.cache(), SPACE_COLD_GIB if cold else SPACE_WARM_GIB)
    check_space(paths.CLUSTER.state, SPACE_WARM_GIB)
    check_ports(needed(demo_port), demo_port)


def _decode(address: str) -> str:
    # The kernel prints 32-bit words in the machine's own byte order.
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def _listeners() -> list[Listener]:
    tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    return [found for table in tables if table.exists() for found in parse_listeners(table.read_text())]


def _owner(inode: int) -> int | None:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == f"socket:[{inode}]":
                return int(link.parts[2])
        except OSError:
            continue
    return None
