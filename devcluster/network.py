"""Addresses, kernel settings, the pods' bridge and the rule that lets them out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from devcluster.commands import run
from devcluster.errors import CannotContinue
from devcluster.plane import POD_RANGE

BRIDGE = "chatstream0"
CNI_NETWORK = "chatstream-dev"
CNI_RESULTS = Path("/var/lib/cni/results")
DNS_ADDRESS = "10.96.0.10"
NFT_TABLE = "chatstream-dev"
PROXY_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))

SYSCTLS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
# The kubelet sets these itself; they are remembered too, so that the end can put them back.
KUBELET_SYSCTLS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")


def query(*arguments: str) -> list[dict[str, Any]]:
    """What iproute2 answers, as JSON; nothing when there is no such thing."""
    done = run(["ip", "-json", *arguments], check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    return found


def node_address() -> str:
    """The machine's own IPv4 address: of the device with the default route, else the first that is global."""
    routes = query("-4", "route", "show", "default")
    return choose_address(routes, query("-4", "address", "show", "scope", "global"))


def choose_address(routes: list[dict[str, Any]], devices: list[dict[str, Any]]) -> str:
    """Out of iproute2's JSON; CannotContinue when the machine has no address but loopback."""
    preferred = [route.get("dev") for route in routes]
    own = [device for device in devices if device.get("ifname") != BRIDGE]
    for device in sorted(own, key=lambda device: device.get("ifname") not in preferred):
        for address in device.get("addr_info", []):
            return str(address["local"])
    raise CannotContinue("This machine has no IPv4 address besides loopback; give a network device one.")


def read_sysctls() -> dict[str, str]:
    """The values now, of all that this tool or the kubelet changes and that this kernel has."""
    _load_bridge_filter()
    paths = {name: Path("/proc/sys") / name for name in (*SYSCTLS, *KUBELET_SYSCTLS)}
    return {name: path.read_text().strip() for name, path in paths.items() if path.exists()}


def write_sysctls(values: Iterable[tuple[str, str]]) -> bool:
    """Set those that differ; whether any did. Ones that this kernel lacks are skipped."""
    changed = False
    for name, value in values:
        path = Path("/proc/sys") / name
        if path.exists() and path.read_text().strip() != value:
            path.write_text(value)
            changed = True
    return changed


def ensure_host() -> bool:
    """Kernel settings, the DNS address and the masquerading rule; whether anything had to be put right."""
    _load_bridge_filter()
    changed = write_sysctls(SYSCTLS.items())
    if not has_dns_address():
        run(["ip", "address", "add", f"{DNS_ADDRESS}/32", "dev", "lo"])
        changed = True
    if not has_table("ip", NFT_TABLE):
        run(["nft", "-f", "-"], stdin=build_masquerade())
        changed = True
    return changed


def build_masquerade() -> str:
    """Pods reach the world by the machine's address, and one another by their own."""
    return f"""table ip {NFT_TABLE} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {POD_RANGE} ip daddr != {POD_RANGE} oifname != "{BRIDGE}" masquerade
  }}
}}
"""


def has_dns_address() -> bool:
    return f" {DNS_ADDRESS}/32 " in run(["ip", "-4", "address", "show", "dev", "lo"]).stdout


def has_table(family: str, name: str) -> bool:
    return run(["nft", "list", "table", family, name], check=False).returncode == 0


def build_cni(leases: Path) -> str:
    """The pods' network: a bridge, addresses from one /24."""
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(leases),
            "ranges": [[{"subnet": "10.244.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return json.dumps({"cniVersion": "1.0.0", "name": CNI_NETWORK, "plugins": [bridge]}, indent=1)


def cut_off_sandboxes() -> list[str]:
    """Sandboxes (container ids) whose link to the bridge is gone, which the kubelet does not notice."""
    attached = {link["ifname"] for link in query("link", "show", "master", BRIDGE) if "UP" in link["flags"]}
    has_gateway = "10.244.0.1/24" in run(["ip", "-4", "address", "show", "dev", BRIDGE], check=False).stdout
    results = [json.loads(path.read_text()) for path in CNI_RESULTS.glob(f"{CNI_NETWORK}-*")]
    return choose_cut_off(results, attached if has_gateway else set())


def choose_cut_off(results: list[dict[str, Any]], attached: set[str]) -> list[str]:
    """Of CNI's cached results, the containers none of whose host-side links is attached."""
    return [str(result["containerId"]) for result in results if not _host_links(result) & attached]


def _host_links(result: dict[str, Any]) -> set[str]:
    interfaces = result.get("result", {}).get("interfaces", [])
    return {link["name"] for link in interfaces if not link.get("sandbox") and link["name"] != BRIDGE}


def _load_bridge_filter() -> None:
    if not Path("/proc/sys/net/bridge").exists():
        # Built into some kernels, a module in others; without it Services between pods of a node fail.
        run(["modprobe", "br_netfilter"], check=False)
