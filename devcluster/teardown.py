"""The end of everything that `up` made, in an order that also works when `up` was killed half-way."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from devcluster import containers, network, probes, processes, state
from devcluster.commands import run
from devcluster.errors import DevclusterError
from devcluster.paths import Layout

KUBELET_DEFAULT = Path("/var/lib/kubelet")
POD_LOG_LINKS = Path("/var/log/containers")
SHIM_SOCKETS = Path("/run/containerd/s")
STOPPED_LAST = ("containerd", "kube-apiserver", "etcd")
GONE_SECONDS = 15.0


def down(layout: Layout) -> None:
    """Idempotent; DevclusterError, naming them, when something is left after all."""
    facts = state.read(layout)
    _stop_daemons(layout)
    containers.end_containers(layout)
    for folder in (layout.run, layout.state):
        containers.unmount_under(folder)
    _remove_cgroups()
    _remove_links()
    _remove_rules()
    if facts is not None:
        network.write_sysctls(facts.sysctls_before.items())
    for folder in (layout.run, layout.state):
        shutil.rmtree(folder, ignore_errors=True)
    _remove_strays(layout)
    left = leftovers(layout)
    if left:
        raise DevclusterError("Still there: " + "; ".join(left))


def leftovers(layout: Layout) -> list[str]:
    """What of the cluster this machine still has, in words."""
    found = [f"process {process.pid} ({mark})" for process, mark in processes.marked(f"{layout.run}:")]
    found += [f"shim {pid}" for pid in containers.shims(layout)]
    found += [
        f"mount {point}" for folder in (layout.run, layout.state) for point in containers.mounts_under(folder)
    ]
    found += [f"cgroup {path}" for path in containers.pod_cgroups()]
    found += [f"table {family} {name}" for family, name in _tables() if network.has_table(family, name)]
    found += [f"device {network.BRIDGE}"] * (Path("/sys/class/net") / network.BRIDGE).exists()
    found += [f"address {network.DNS_ADDRESS}"] * network.has_dns_address()
    found += [f"folder {folder}" for folder in (layout.run, layout.state) if folder.exists()]
    return found


def _stop_daemons(layout: Layout) -> None:
    """The kubelet first, so that it restarts nothing; etcd and the API server last."""
    found = sorted(processes.marked(f"{layout.run}:"), key=lambda item: _turn(item[1]))
    shims = containers.shims(layout)
    for process, _ in found:
        if process.pid not in shims:
            processes.stop(process, seconds=3.0)


def _turn(mark: str) -> int:
    name = mark.rpartition(":")[2]
    return STOPPED_LAST.index(name) if name in STOPPED_LAST else (-2 if name == "kubelet" else -1)


def _remove_cgroups() -> None:
    def remove() -> bool:
        for root in containers.pod_cgroups():
            for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
                _rmdir(folder)
            _rmdir(root)
        return not containers.pod_cgroups()

    _until(remove)


def _remove_links() -> None:
    """The bridge and the links on it: those vanish with the pods' namespaces, but not at once."""
    for link in network.query("link", "show", "master", network.BRIDGE):
        run(["ip", "link", "delete", link["ifname"]], check=False)
    if _has_bridge():
        run(["ip", "link", "delete", network.BRIDGE])
    if network.has_dns_address():
        run(["ip", "address", "delete", f"{network.DNS_ADDRESS}/32", "dev", "lo"])


def _has_bridge() -> bool:
    return (Path("/sys/class/net") / network.BRIDGE).exists()


def _tables() -> list[tuple[str, str]]:
    return [*network.PROXY_TABLES, ("ip", network.NFT_TABLE)]


def _remove_rules() -> None:
    if shutil.which("nft") is None:
        return
    for family, name in _tables():
        if network.has_table(family, name):
            run(["nft", "delete", "table", family, name])


def _remove_strays(layout: Layout) -> None:
    """What containerd and the kubelet leave outside their own folders, whatever they are told."""
    for result in network.CNI_RESULTS.glob("*"):
        # Each sandbox has a result for loopback too; that names the namespace, which lies in our folder.
        if str(layout.run) in result.read_text() or result.name.startswith(f"{network.CNI_NETWORK}-"):
            result.unlink()
    for socket in SHIM_SOCKETS.glob("*"):
        if not probes.unix_open(socket):
            socket.unlink()
    for link in POD_LOG_LINKS.glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.state):
            link.unlink()
    if KUBELET_DEFAULT.is_dir() and {path.name for path in KUBELET_DEFAULT.iterdir()} <= {"device-plugins"}:
        shutil.rmtree(KUBELET_DEFAULT)
    ours = (network.CNI_RESULTS, SHIM_SOCKETS, POD_LOG_LINKS)
    for folder in (*ours, network.CNI_RESULTS.parent, SHIM_SOCKETS.parent):
        _rmdir(folder)


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Not there, or still in use by others: both are fine.
        return


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    while not done() and time.monotonic() < deadline:
        time.sleep(0.2)
