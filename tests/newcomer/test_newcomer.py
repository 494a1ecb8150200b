"""A newcomer's path: a fresh clone, `make up`, its words, a chat, `make down`, and nothing remains.

It takes the local cluster down, so it has a folder of its own and runs last.
"""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devcluster.kube import Kube
from devcluster.network import BRIDGE
from devcluster.paths import CLUSTER
from make_up import PORT, ROOT, kill_all, make, output, remains

HELM = str(CLUSTER.bin / "helm")


def curl_command(said: str) -> str:
    """The command that the output shows for a chat turn."""
    lines = said.replace("\\\n", " ").splitlines()
    [command, *_] = [line.strip() for line in lines if "curl" in line and "/chat_stream" in line]
    return command[command.index("curl") :]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone in a clean folder, and a machine without the cluster; nothing of either is left."""
    make(ROOT, "down", 180)
    assert remains() == {}
    folder = tmp_path_factory.mktemp("newcomer") / "chatstream"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, timeout=60)
    return folder


def chat(said: str) -> str:
    """The answer to the command that `make up` printed."""
    done = subprocess.run(
        curl_command(said), shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def what_runs() -> dict[str, Any]:
    """Everything that a run of `make up` with nothing to do must leave as it is."""
    kube = Kube.load(CLUSTER.kubeconfig)
    demo = kube.get("/apis/chatstream.dev/v1alpha1/namespaces/default/chatstreams/demo")
    return {
        "processes": {file.name: file.read_text() for file in (CLUSTER.run / "pids").iterdir()},
        "pods": {
            pod["metadata"]["uid"]: [status["restartCount"] for status in pod["status"]["containerStatuses"]]
            for pod in kube.get("/api/v1/pods")["items"]
            if "containerStatuses" in pod["status"]
        },
        "release": output(
            str(CLUSTER.bin / "helm"), f"--kubeconfig={CLUSTER.kubeconfig}", "list", "--all-namespaces"
        ),
        "demo": demo["metadata"]["generation"],
        "links": output("ip", "-o", "-br", "link"),
    }


@pytest.mark.timeout(1500)
def test_a_fresh_clone_comes_up_says_how_to_use_it_and_a_second_run_changes_nothing(clone: Path) -> None:
    said = make(clone, "up", 900)
    assert f"https://localhost:{PORT}" in said
    assert "/metrics" in said
    assert "make down" in said
    assert "event: done" in chat(said)
    before = what_runs()
    make(clone, "up", 60)
    assert what_runs() == before


@pytest.mark.timeout(600)
def test_what_was_killed_and_torn_apart_is_repaired(clone: Path) -> None:
    said = make(clone, "up", 300)
    chat(said)
    kill_all()
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed([one for one in mounts if "chatstream-dev" in one]):
        subprocess.run(["umount", "--lazy", mount], check=False, timeout=30)
    for folder in (CLUSTER.run, CLUSTER.bin):
        shutil.rmtree(folder)
        folder.mkdir()
    subprocess.run(["ip", "link", "delete", BRIDGE], check=False, timeout=30)
    assert "event: done" in chat(make(clone, "up", 300))


@pytest.mark.timeout(300)
def test_a_port_in_use_is_named_with_the_remedy(clone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            ["make", "up", f"PORT={port}"],
            cwd=clone,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert refused.returncode != 0
    assert f"Port {port} is in use by" in refused.stdout + refused.stderr
    assert "make up PORT=" in refused.stdout + refused.stderr


@pytest.mark.timeout(300)
def test_down_leaves_nothing(clone: Path) -> None:
    make(clone, "up", 300)
    make(clone, "down", 180)
    assert remains() == {}
