"""containerd with its own root, state and socket; and ending containers that lost what they stood on."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from devcluster import processes
from devcluster.commands import run
from devcluster.errors import CommandFailed
from devcluster.files import write_if_changed
from devcluster.paths import Layout
from devcluster.processes import Daemon, Outcome

NAMESPACE = "k8s.io"
NAME = "containerd"
CNI_BIN = "/usr/lib/cni"


def socket(layout: Layout) -> Path:
    return state(layout) / "containerd.sock"


def state(layout: Layout) -> Path:
    return layout.run / "containerd"


def runc_root(layout: Layout) -> Path:
    """Where runc notes what it runs."""
    return layout.run / "runc"


def root(layout: Layout) -> Path:
    return layout.state / "containerd"


def tasks(layout: Layout) -> Path:
    """What containerd needs to take up running containers; gone when the run folder was emptied."""
    return state(layout) / "io.containerd.runtime.v2.task" / NAMESPACE


def config_file(layout: Layout) -> Path:
    return layout.config / "containerd.toml"


def cni_folder(layout: Layout) -> Path:
    return layout.config / "cni"


def build_config(layout: Layout, pause_image: str) -> str:
    """containerd's configuration."""
    return f"""version = 2
root = "{root(layout)}"
state = "{state(layout)}"
[grpc]
address = "{socket(layout)}"
[plugins."io.containerd.internal.v1.opt"]
path = "{root(layout)}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause_image}"
# Without CAP_SYS_RESOURCE (containers, small virtual machines) every sandbox would fail to start.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{runc_root(layout)}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_BIN}"
conf_dir = "{cni_folder(layout)}"
"""


def ctr(layout: Layout, *arguments: str | Path, timeout: float = 60, check: bool = True) -> str:
    """Run containerd's own client; its output."""
    argv: list[str | Path] = ["ctr", "--address", socket(layout), "--namespace", NAMESPACE, *arguments]
    return run(argv, timeout=timeout, check=check).stdout


def answers(layout: Layout) -> bool:
    if not socket(layout).is_socket():
        return False
    try:
        argv: list[str | Path] = ["ctr", "--address", socket(layout), "--connect-timeout", "2s", "version"]
        return run(argv, check=False, timeout=10).returncode == 0
    except CommandFailed:
        return False


def ensure(layout: Layout, pause_image: str) -> Outcome:
    """containerd running. It takes up containers that still run; where it cannot, remains are swept away."""
    write_if_changed(config_file(layout), build_config(layout, pause_image))
    daemon = Daemon(
        NAME,
        ("containerd", "--config", str(config_file(layout))),
        healthy=lambda: answers(layout),
        inputs=(config_file(layout),),
    )
    running = processes.find(layout, NAME)
    if running is None or not _answers_soon(layout):
        if running is not None:
            processes.stop(running)
        if not (tasks(layout).is_dir() and socket(layout).exists() and shims(layout)):
            sweep(layout)
    return processes.ensure(layout, daemon)


def sweep(layout: Layout) -> None:
    """End every shim and container, undo their mounts, forget containerd's volatile state.

    Containers are made anew by the kubelet from what containerd's root and the API server know.
    """
    end_containers(layout)
    unmount_under(layout.run)
    for folder in (state(layout), runc_root(layout)):
        shutil.rmtree(folder, ignore_errors=True)


def end_containers(layout: Layout, seconds: float = 10.0) -> None:
    """SIGKILL to the shims of this containerd and to everything in the pods' cgroups, until none is left."""
    deadline = time.monotonic() + seconds
    while left := {*shims(layout), *pod_processes()}:
        for pid in left:
            processes.kill(pid)
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)


def shims(layout: Layout) -> set[int]:
    """The shims that serve our containerd."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"containerd-shim" in words[0] and str(socket(layout)).encode() in words:
            found.add(int(entry.name))
    return found


def pod_cgroups() -> list[Path]:
    """The roots of the pods' cgroups, in every hierarchy."""
    hierarchies = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")]
    return [path / "kubepods" for path in hierarchies if (path / "kubepods").is_dir()]


def pod_processes() -> set[int]:
    """Every process in a pod."""
    found: set[int] = set()
    for cgroup in pod_cgroups():
        for path in cgroup.rglob("cgroup.procs"):
            try:
                found.update(int(pid) for pid in path.read_text().split())
            except OSError:
                continue
    return {pid for pid in found if pid and processes.start_time(pid) is not None}


def mounts_under(folder: Path) -> list[str]:
    """Mount points in the folder, deepest first."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    plain = [point.encode().decode("unicode_escape") for point in points]
    return sorted((point for point in plain if Path(point).is_relative_to(folder)), reverse=True)


def unmount_under(folder: Path) -> None:
    """Unmount all of it; lazily where something still holds it. Twice, for mounts on top of mounts."""
    for _ in range(2):
        for point in mounts_under(folder):
            if run(["umount", point], check=False).returncode != 0:
                run(["umount", "--lazy", point], check=False)


def _answers_soon(layout: Layout) -> bool:
    for _ in range(5):
        if answers(layout):
            return True
        time.sleep(0.5)
    return False
