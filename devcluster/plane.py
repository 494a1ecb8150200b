"""What one control plane consists of: folders, ports, identities."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from devcluster import kubeconfig, pki, probes
from devcluster.paths import Layout

# The address of cluster DNS, 10.96.0.10, is outside: kube-proxy drops what is sent to addresses of the range
# that belong to no Service.
SERVICE_RANGE = "10.96.128.0/17"
DOMAIN = "cluster.local"
API_ADDRESS = "10.96.128.1"
API_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{DOMAIN}",
)
POD_RANGE = "10.244.0.0/16"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each part listens."""

    etcd: int = 2379
    etcd_peer: int = 2380
    api: int = 6443
    controller_manager: int = 10257
    scheduler: int = 10259

    @classmethod
    def free(cls) -> Ports:
        return cls(*(probes.free_port() for _ in range(5)))


@dataclass(frozen=True, slots=True)
class Plane:
    """One control plane: its folders, ports and the address that it tells others."""

    layout: Layout
    ports: Ports = field(default_factory=Ports)
    bind: str = "0.0.0.0"
    advertise: str = "127.0.0.1"
    extra_api_flags: tuple[str, ...] = ()
    dies_with_parent: bool = False

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.ports.api}"

    @property
    def etcd_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.etcd}"

    @property
    def authority(self) -> pki.Pair:
        return pki.pair(self.layout.pki, "ca")

    @property
    def front_authority(self) -> pki.Pair:
        return pki.pair(self.layout.pki, "front-proxy-ca")

    @property
    def serving(self) -> pki.Pair:
        return pki.pair(self.layout.pki, "apiserver")

    @property
    def kubelet_client(self) -> pki.Pair:
        return pki.pair(self.layout.pki, "apiserver-kubelet-client")

    @property
    def front_client(self) -> pki.Pair:
        return pki.pair(self.layout.pki, "front-proxy-client")

    @property
    def signing_key(self) -> Path:
        return self.layout.pki / "service-accounts.key"

    @property
    def tokens(self) -> Path:
        return self.layout.pki / "tokens.csv"

    def config_of(self, name: str) -> Path:
        """The kubeconfig of a component."""
        return self.layout.kubeconfigs / name


COMPONENTS = {
    "kube-controller-manager": kubeconfig.User("system:kube-controller-manager"),
    "kube-scheduler": kubeconfig.User("system:kube-scheduler"),
}


def make_identities(plane: Plane, users: dict[str, kubeconfig.User] | None = None) -> None:
    """Authorities, certificates, the tokens' key, tokens, kubeconfigs; replaces what was there."""
    pki.make_authority(plane.authority, "chatstream-dev")
    pki.make_authority(plane.front_authority, "chatstream-dev-front-proxy")
    names = ("localhost", "127.0.0.1", plane.advertise, API_ADDRESS, *API_NAMES)
    pki.make_leaf(
        plane.serving,
        plane.authority,
        common_name="kube-apiserver",
        usages=[pki.SERVER],
        names=list(dict.fromkeys(names)),
    )
    pki.make_leaf(
        plane.kubelet_client,
        plane.authority,
        common_name="kube-apiserver-kubelet-client",
        organization="system:masters",
        usages=[pki.CLIENT],
    )
    pki.make_leaf(
        plane.front_client, plane.front_authority, common_name="front-proxy-client", usages=[pki.CLIENT]
    )
    pki.make_signing_key(plane.signing_key)
    targets = {plane.config_of(name): user for name, user in {**COMPONENTS, **(users or {})}.items()}
    targets[plane.layout.kubeconfig] = kubeconfig.ADMIN
    kubeconfig.make_users(plane.tokens, targets, server=plane.server, authority=plane.authority.certificate)
