"""etcd, kube-apiserver, kube-controller-manager, kube-scheduler: for the cluster, or thrown away by tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster import kubeconfig, probes, processes, programs
from devcluster.errors import ProcessDied
from devcluster.paths import Layout
from devcluster.plane import SERVICE_RANGE, Plane, Ports, make_identities
from devcluster.processes import Daemon

ATTEMPTS = 3


def build_etcd(plane: Plane) -> Daemon:
    peer = f"http://127.0.0.1:{plane.ports.etcd_peer}"
    argv = (
        str(programs.ensure("etcd")),
        f"--data-dir={plane.layout.state / 'etcd'}",
        f"--listen-client-urls={plane.etcd_url}",
        f"--advertise-client-urls={plane.etcd_url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # A development cluster may lose its last second in a power cut; it may not be slow for that.
        "--unsafe-no-fsync",
        "--quota-backend-bytes=4294967296",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
    )
    return _daemon(plane, "etcd", argv, f"{plane.etcd_url}/health")


def build_apiserver(plane: Plane) -> Daemon:
    argv = (
        str(programs.ensure("kube-apiserver")),
        f"--etcd-servers={plane.etcd_url}",
        f"--bind-address={plane.bind}",
        f"--advertise-address={plane.advertise}",
        f"--secure-port={plane.ports.api}",
        f"--tls-cert-file={plane.serving.certificate}",
        f"--tls-private-key-file={plane.serving.key}",
        f"--client-ca-file={plane.authority.certificate}",
        f"--token-auth-file={plane.tokens}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={plane.signing_key}",
        f"--service-account-signing-key-file={plane.signing_key}",
        f"--kubelet-client-certificate={plane.kubelet_client.certificate}",
        f"--kubelet-client-key={plane.kubelet_client.key}",
        # The node's name is in no DNS: without this `kubectl logs` and `exec` fail.
        "--kubelet-preferred-address-types=InternalIP",
        *_build_aggregation(plane),
        *plane.extra_api_flags,
    )
    return _daemon(
        plane,
        "kube-apiserver",
        argv,
        f"{plane.server}/readyz",
        inputs=(plane.tokens, plane.serving.certificate),
    )


def build_controller_manager(plane: Plane) -> Daemon:
    config = plane.config_of("kube-controller-manager")
    argv = (
        str(programs.ensure("kube-controller-manager")),
        *_build_component(plane.ports.controller_manager, config),
        "--use-service-account-credentials",
        f"--root-ca-file={plane.authority.certificate}",
        f"--service-account-private-key-file={plane.signing_key}",
        f"--cluster-signing-cert-file={plane.authority.certificate}",
        f"--cluster-signing-key-file={plane.authority.key}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    )
    url = f"https://127.0.0.1:{plane.ports.controller_manager}/healthz"
    return _daemon(plane, "kube-controller-manager", argv, url, inputs=(config,))


def build_scheduler(plane: Plane) -> Daemon:
    config = plane.config_of("kube-scheduler")
    argv = (str(programs.ensure("kube-scheduler")), *_build_component(plane.ports.scheduler, config))
    url = f"https://127.0.0.1:{plane.ports.scheduler}/healthz"
    return _daemon(plane, "kube-scheduler", argv, url, inputs=(config,))


@dataclass(frozen=True, slots=True)
class Throwaway:
    """What a test gets of a throw-away control plane."""

    kubeconfig: Path
    server: str
    token: str
    authority: Path
    folder: Path


@contextmanager
def throwaway(
    *, controller_manager: bool = False, extra_api_flags: Sequence[str] = ()
) -> Iterator[Throwaway]:
    """etcd, kube-apiserver (and the controller manager, on request) on free ports; ends with the block.

    Nothing runs pods. Without the controller manager nothing is garbage-collected and no namespace gets its
    service account, so that admission is off. The first use builds the programs if the cache lacks them.
    """
    folder = Path(tempfile.mkdtemp(prefix="chatstream-control-plane-"))
    plane = None
    try:
        plane = _start_throwaway(folder, controller_manager, tuple(extra_api_flags))
        admin = plane.layout.kubeconfig
        yield Throwaway(admin, plane.server, kubeconfig.token_of(admin), plane.authority.certificate, folder)
    finally:
        if plane is not None:
            _stop_all(plane)
        shutil.rmtree(folder, ignore_errors=True)


def _start_throwaway(folder: Path, controller_manager: bool, flags: tuple[str, ...]) -> Plane:
    if not controller_manager:
        flags = ("--disable-admission-plugins=ServiceAccount", *flags)
    for attempt in range(1, ATTEMPTS + 1):
        layout = Layout(folder / str(attempt) / "state", folder / str(attempt) / "run")
        plane = Plane(
            layout,
            Ports.free(),
            bind="127.0.0.1",
            extra_api_flags=("--endpoint-reconciler-type=none", *flags),
            dies_with_parent=True,
        )
        make_identities(plane)
        builders = [build_etcd, build_apiserver, *([build_controller_manager] if controller_manager else [])]
        try:
            for build in builders:
                processes.ensure(layout, build(plane))
        except ProcessDied:
            # Another process may have taken a port between our look and our use of it.
            _stop_all(plane)
            if attempt == ATTEMPTS:
                raise
        else:
            return plane
    raise AssertionError("unreachable")


def _stop_all(plane: Plane) -> None:
    for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
        process = processes.find(plane.layout, name)
        if process is not None:
            processes.stop(process, seconds=3)


def _build_component(port: int, config: Path) -> tuple[str, ...]:
    return (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--leader-elect=false",
    )


def _build_aggregation(plane: Plane) -> tuple[str, ...]:
    """What API servers of others (metrics, autoscalers) need to stand behind this one."""
    return (
        f"--requestheader-client-ca-file={plane.front_authority.certificate}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={plane.front_client.certificate}",
        f"--proxy-client-key-file={plane.front_client.key}",
        "--enable-aggregator-routing",
    )


def _daemon(
    plane: Plane, name: str, argv: tuple[str, ...], url: str, inputs: tuple[Path, ...] = ()
) -> Daemon:
    return Daemon(
        name,
        argv,
        healthy=lambda: probes.http_ok(url),
        inputs=inputs,
        dies_with_parent=plane.dies_with_parent,
    )
