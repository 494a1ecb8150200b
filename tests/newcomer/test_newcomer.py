"""A newcomer's path: a fresh clone, `make up`, its words, a chat, `make down`, and nothing remains (item 9).

It takes the local cluster down, so it has a folder of its own and runs last.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PORT = os.environ.get("PORT", "8443")
OURS = re.compile(r"chatstream-dev")
NETWORK = re.compile(r"\b(?:cni\w*|KUBE-[\w-]+|kube-proxy|10\.244\.[\d.]+|10\.96\.[\d.]+)")


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


def processes() -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while it was looked at
        if OURS.search(line):
            found.append(line)
    return found


def remains() -> dict[str, list[str]]:
    """Everything of the local cluster that is still there, by kind."""
    rules = output("nft", "list", "ruleset") + output("iptables-save")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    links = re.findall(r"^\d+: ((?:cni|veth|kube)[\w-]*)", output("ip", "-o", "link"), re.MULTILINE)
    found = {
        "processes": processes(),
        "mounts": [line for line in mounts if OURS.search(line) or "/kubelet/" in line],
        "interfaces": links,
        "addresses": NETWORK.findall(output("ip", "-o", "address")),
        "routes": NETWORK.findall(output("ip", "route")),
        "rules": sorted(set(NETWORK.findall(rules))),
        "network namespaces": re.findall(r"^cni-\S+", output("ip", "netns"), re.MULTILINE),
        "sockets": [str(path) for path in Path("/run").glob("chatstream-dev/*")],
        "device plugins": [str(path) for path in Path("/var/lib/kubelet").glob("device-plugins")],
    }
    return {kind: what for kind, what in found.items() if what}


def curl_command(said: str) -> str:
    """The command that the output shows for a chat turn."""
    lines = said.replace("\\\n", " ").splitlines()
    [command, *_] = [line.strip() for line in lines if "curl" in line and "/chat_stream" in line]
    return command[command.index("curl") :]


@pytest.mark.timeout(1500)
def test_a_fresh_clone_comes_up_says_how_to_use_it_and_leaves_nothing(tmp_path: Path) -> None:
    make(ROOT, "down", 180)
    assert remains() == {}
    clone = tmp_path / "chatstream"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=60)
    said = make(clone, "up", 900)
    assert f"https://localhost:{PORT}" in said
    assert "/metrics" in said
    assert "make down" in said
    answer = subprocess.run(
        curl_command(said), shell=True, cwd=clone, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "event: done" in answer.stdout
    began = time.monotonic()
    make(clone, "up", 120)
    assert time.monotonic() - began < 60
    make(clone, "down", 180)
    assert remains() == {}
