"""The node: kubelet, kube-proxy and cluster DNS, on the host."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devcluster import containers, network, pki, probes, processes, programs
from devcluster.errors import DevclusterError
from devcluster.files import write_if_changed
from devcluster.kube import Kube, KubeError
from devcluster.kubeconfig import User
from devcluster.paths import Layout
from devcluster.plane import DOMAIN, POD_RANGE, Plane
from devcluster.processes import Daemon

NODE = "chatstream-dev"
KUBELET_PORT, KUBELET_HEALTH_PORT = 10250, 10248
PROXY_HEALTH_PORT, PROXY_METRICS_PORT = 10256, 10249
DNS_READY_PORT, DNS_HEALTH_PORT = 10253, 10254
READY_SECONDS = 120.0

USERS = {
    "kubelet": User(f"system:node:{NODE}", ("system:nodes",)),
    "kube-proxy": User("system:kube-proxy"),
    "coredns": User("system:coredns"),
}


def kubelet_serving(layout: Layout) -> pki.Pair:
    return pki.pair(layout.pki, "kubelet")


def make_serving(plane: Plane) -> None:
    """The kubelet's own certificate, which the API server and metrics clients see."""
    pki.make_leaf(
        kubelet_serving(plane.layout),
        plane.authority,
        common_name=f"system:node:{NODE}",
        organization="system:nodes",
        usages=[pki.SERVER],
        names=[NODE, plane.advertise],
    )


def build_kubelet_config(plane: Plane) -> dict[str, Any]:
    layout = plane.layout
    serving = kubelet_serving(layout)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "port": KUBELET_PORT,
        "healthzPort": KUBELET_HEALTH_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(plane.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "containerRuntimeEndpoint": f"unix://{containers.socket(layout)}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [network.DNS_ADDRESS],
        "clusterDomain": DOMAIN,
        # A changed Secret is in its pods within 15 s, not 90: a rotation of keys waits for that twice.
        "syncFrequency": "10s",
        # Images come from no registry: one that is collected could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "podLogsDir": str(layout.state / "pod-logs"),
        "volumePluginDir": str(layout.state / "kubelet" / "volume-plugins"),
        "registerNode": True,
    }


def build_kubelet(plane: Plane) -> Daemon:
    layout = plane.layout
    config = write_config(layout, "kubelet", build_kubelet_config(plane))
    kubeconfig = plane.config_of("kubelet")
    argv = (
        str(programs.ensure("kubelet")),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={layout.state / 'kubelet'}",
        f"--cert-dir={layout.state / 'kubelet' / 'pki'}",
        f"--hostname-override={NODE}",
        f"--node-ip={plane.advertise}",
    )
    url = f"http://127.0.0.1:{KUBELET_HEALTH_PORT}/healthz"
    inputs = (config, kubeconfig, kubelet_serving(layout).certificate)
    return Daemon("kubelet", argv, lambda: probes.http_ok(url), inputs)


def build_proxy_config(plane: Plane) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NODE,
        "clientConnection": {"kubeconfig": str(plane.config_of("kube-proxy"))},
        "healthzBindAddress": f"127.0.0.1:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"127.0.0.1:{PROXY_METRICS_PORT}",
        "oomScoreAdj": 0,
        # Zero leaves the kernel's own settings alone.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def build_proxy(plane: Plane) -> Daemon:
    config = write_config(plane.layout, "kube-proxy", build_proxy_config(plane))
    argv = (str(programs.ensure("kube-proxy")), f"--config={config}")
    url = f"http://127.0.0.1:{PROXY_HEALTH_PORT}/healthz"

    def healthy() -> bool:
        # Alive is not enough: it does not notice at once that somebody deleted its table.
        return probes.http_ok(url) and network.has_table(*network.PROXY_TABLES[0])

    return Daemon("kube-proxy", argv, healthy, (config, plane.config_of("kube-proxy")))


def build_corefile(kubeconfig: Path, resolv_conf: str) -> str:
    """Cluster names from the API server; everything else from the machine's own resolvers, if it has any."""
    has_upstream = any(line.split()[:1] == ["nameserver"] for line in resolv_conf.splitlines())
    return f""".:53 {{
  bind {network.DNS_ADDRESS}
  errors
  ready 127.0.0.1:{DNS_READY_PORT}
  health 127.0.0.1:{DNS_HEALTH_PORT}
  kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
    kubeconfig {kubeconfig}
    ttl 5
    fallthrough in-addr.arpa ip6.arpa
  }}
  {"forward . /etc/resolv.conf" if has_upstream else ""}
  cache 5
}}
"""


def build_dns(plane: Plane) -> Daemon:
    kubeconfig = plane.config_of("coredns")
    corefile = plane.layout.config / "Corefile"
    write_if_changed(corefile, build_corefile(kubeconfig, Path("/etc/resolv.conf").read_text()))
    argv = (str(programs.ensure("coredns")), "-conf", str(corefile))
    url = f"http://127.0.0.1:{DNS_READY_PORT}/ready"
    return Daemon(
        "coredns",
        argv,
        # The address may have been taken from under it: then it lives on and hears nothing.
        lambda: probes.http_ok(url) and probes.tcp_open(network.DNS_ADDRESS, 53),
        (corefile, kubeconfig),
    )


def grant_dns(kube: Kube) -> None:
    """What cluster DNS may read."""
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    api = "rbac.authorization.k8s.io"
    name = {"name": "chatstream-dev:coredns"}
    role: dict[str, Any] = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRole",
        "metadata": name,
        "rules": rules,
    }
    binding: dict[str, Any] = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", **name},
        "subjects": [{"apiGroup": api, "kind": "User", "name": USERS["coredns"].name}],
    }
    kube.apply(f"/apis/{api}/v1/clusterroles/{name['name']}", role)
    kube.apply(f"/apis/{api}/v1/clusterrolebindings/{name['name']}", binding)


def wait_ready(kube: Kube, seconds: float = READY_SECONDS) -> None:
    """Until the node is Ready; DevclusterError with what it says of itself otherwise."""
    deadline = time.monotonic() + seconds
    said = "it has not registered"
    while time.monotonic() < deadline:
        try:
            node = kube.find(f"/api/v1/nodes/{NODE}")
        except KubeError as error:
            node, said = None, str(error)
        conditions = {item["type"]: item for item in (node or {}).get("status", {}).get("conditions", [])}
        ready = conditions.get("Ready", {})
        if ready.get("status") == "True" and heard_lately(kube):
            return
        said = ready.get("message", said)
        time.sleep(0.3)
    raise DevclusterError(f"The node is not Ready after {seconds:.0f} s: {said}")


def heard_lately(kube: Kube) -> bool:
    """Whether the kubelet renewed its lease within the last 15 s: Ready may be old news."""
    lease = kube.find(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE}")
    renewed = (lease or {}).get("spec", {}).get("renewTime", "")
    if not renewed:
        return False
    moment = datetime.fromisoformat(renewed.replace("Z", "+00:00"))
    return (datetime.now(UTC) - moment).total_seconds() < 15


def write_config(layout: Layout, name: str, content: dict[str, Any]) -> Path:
    """A component's configuration file; JSON is YAML too."""
    path = layout.config / f"{name}.json"
    write_if_changed(path, json.dumps(content, indent=1))
    return path


def restart_cut_off(layout: Layout) -> int:
    """End the sandboxes that lost their network, so that the kubelet makes new ones; how many."""
    running = containers.ctr(layout, "tasks", "list", "--quiet").split()
    cut_off = [name for name in network.cut_off_sandboxes() if name in running]
    for name in cut_off:
        containers.ctr(layout, "tasks", "kill", "--signal", "SIGKILL", "--all", name, check=False)
    return len(cut_off)


def ensure_all(plane: Plane) -> list[str]:
    """kubelet, kube-proxy and DNS running; the names of those that had to be started."""
    daemons = (build_kubelet(plane), build_proxy(plane), build_dns(plane))
    return [daemon.name for daemon in daemons if processes.ensure(plane.layout, daemon) != "running"]
