"""The cluster itself: its state, made anew when it is not whole, and all its parts, running."""

from __future__ import annotations

import functools
from collections.abc import Callable

from devcluster import (
    containers,
    control_plane,
    gpus,
    helpers,
    images,
    network,
    node,
    plane,
    processes,
    programs,
    state,
    teardown,
)
from devcluster.files import write_if_changed
from devcluster.kube import Kube
from devcluster.paths import CLUSTER, Layout
from devcluster.plane import Plane
from devcluster.processes import Daemon

NAMES = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("containerd", "kubelet", "kube-proxy", "coredns", "storage", "gpus", "forwarder"),
)


@functools.cache
def this_plane() -> Plane:
    """The plane for this machine's address."""
    return Plane(CLUSTER, advertise=network.node_address())


def ensure_state(this: Plane) -> str:
    """Identities and facts. If any is missing, or the machine's address changed, everything is made anew."""
    facts = state.read(this.layout)
    if facts is not None and facts.node_address == this.advertise and state.complete(this):
        return "already there"
    existed = this.layout.state.exists() or this.layout.run.exists()
    if existed:
        teardown.down(this.layout)
    sysctls = network.read_sysctls()
    plane.make_identities(this, node.USERS)
    node.make_serving(this)
    # etcd makes its folder when it starts; this one says that the state is whole from here on.
    (this.layout.state / "etcd" / "member").mkdir(parents=True, mode=0o700)
    state.write(this.layout, state.Facts(this.advertise, sysctls))
    return "made anew (what was there was not whole)" if existed else "made"


def ensure_links(this: Plane) -> str:
    """Programs under plain names, for PATH; the one authority that users need to trust has its place too."""
    programs.link_all(this.layout.bin)
    return str(this.layout.bin)


def ensure_control_plane(this: Plane) -> str:
    """etcd, API server, controller manager, scheduler."""
    builders: tuple[Callable[[Plane], Daemon], ...] = (
        control_plane.build_etcd,
        control_plane.build_apiserver,
        control_plane.build_controller_manager,
        control_plane.build_scheduler,
    )
    daemons = [build(this) for build in builders]
    return describe([d.name for d in daemons if processes.ensure(this.layout, d) != "running"])


def ensure_containerd(this: Plane) -> str:
    """containerd, its network configuration and the pause image."""
    conflist = containers.cni_folder(this.layout) / "10-chatstream.conflist"
    write_if_changed(conflist, network.build_cni(this.layout.state / "cni"))
    outcome = containers.ensure(this.layout, images.pause().reference)
    imported = images.ensure_imported(this.layout, images.pause())
    return "running" if (outcome, imported) == ("running", "already there") else outcome


def ensure_node(this: Plane) -> str:
    """Host network, kubelet, kube-proxy, DNS; Ready, with every pod on the network."""
    repaired = ["host network"] if network.ensure_host() else []
    kube = Kube.load(this.layout.kubeconfig)
    node.grant_dns(kube)
    started = node.ensure_all(this)
    node.wait_ready(kube)
    cut_off = node.restart_cut_off(this.layout)
    repaired += [f"{cut_off} pods without network"] if cut_off else []
    return describe([*repaired, *started])


def ensure_helpers(this: Plane) -> str:
    """StorageClass and provisioner; GPUs on the node."""
    kube = Kube.load(this.layout.kubeconfig)
    started = helpers.ensure_all(this.layout, kube)
    gpus.wait(kube)
    return describe(started)


def describe(changed: list[str]) -> str:
    return f"put right: {', '.join(changed)}" if changed else "running"


def status(layout: Layout) -> list[tuple[str, str]]:
    """Each daemon and what it is at: (name, words)."""
    found = {name: processes.find(layout, name) for name in NAMES}
    return [(name, f"runs (pid {it.pid})" if it else "does not run") for name, it in found.items()]
