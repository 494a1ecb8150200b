"""`make` on the local cluster, seen from outside: what it prints, what it started, what it leaves."""

import os
import re
import signal
import subprocess
from pathlib import Path

from devcluster.paths import CLUSTER
from devcluster.processes import marked

ROOT = Path(__file__).resolve().parents[2]
PORT = os.environ.get("PORT", "8443")
OURS = re.compile(r"chatstream-dev")
NETWORK = re.compile(r"\b(?:chatstream\w*|cni\w*|KUBE-[\w-]+|kube-proxy|10\.244\.[\d.]+|10\.96\.[\d.]+)")


def make(folder: Path, target: str, limit: float) -> str:
    """What `make target` prints; it must succeed within `limit` seconds."""
    command = ["make", target, f"PORT={PORT}"]
    done = subprocess.run(
        command,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=limit,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def output(*command: str) -> str:
    """Standard output; empty where the program is missing, since it then made nothing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    except FileNotFoundError:
        return ""


def commands() -> dict[int, tuple[str, str]]:
    """Command line and control groups of every process, by its id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found[int(folder.name)] = (line, (folder / "cgroup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while it was looked at
    return found


def processes() -> list[str]:
    """Command lines of the cluster's programs and of all that runs in its pods."""
    return [line for line, groups in commands().values() if OURS.search(line) or "/kubepods" in groups]


def kill_all() -> None:
    """SIGKILL to all that the cluster started, containers included: told by mark, not by name."""
    ours = {process.pid for process, _ in marked(f"{CLUSTER.run}:")}
    for pid in ours | {pid for pid, (_, groups) in commands().items() if "/kubepods" in groups}:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it went with another one


def remains() -> dict[str, list[str]]:
    """Everything of the local cluster that is still there, by kind."""
    rules = output("nft", "list", "ruleset") + output("iptables-save")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    links = output("ip", "-o", "link")
    found = {
        "processes": processes(),
        "mounts": [line for line in mounts if OURS.search(line) or "/kubelet/" in line],
        "interfaces": re.findall(r"^\d+: ((?:chatstream|cni|veth|kube)[\w-]*)", links, re.MULTILINE),
        "addresses": NETWORK.findall(output("ip", "-o", "address")),
        "routes": NETWORK.findall(output("ip", "route")),
        "rules": sorted(set(NETWORK.findall(rules))),
        "network namespaces": re.findall(r"^cni-\S+", output("ip", "netns"), re.MULTILINE),
        "sockets": [str(path) for path in Path("/run").glob("chatstream-dev/*")],
        "device plugins": [str(path) for path in Path("/var/lib/kubelet").glob("device-plugins")],
    }
    return {kind: what for kind, what in found.items() if what}
