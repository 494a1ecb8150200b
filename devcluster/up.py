"""`up`: the whole list of steps, each of which leaves alone what is right already."""

from __future__ import annotations

import time

from devcluster import cluster, images, packages, preflight, programs, state
from devcluster.paths import CLUSTER
from devcluster.plane import Plane
from devcluster.progress import Progress, Step

BASE_SECONDS, IMAGE_SECONDS = 25.0, 40.0


def up(port: int) -> None:
    """Bring everything about; DevclusterError, in plain words, where it cannot."""
    began = time.monotonic()
    cold = not all(programs.built(name) for name in programs.PROGRAMS)
    preflight.check(port, cold=cold)
    with state.locked(CLUSTER):
        progress = Progress()
        progress.run([Step("Debian packages", packages.ensure), *program_steps()])
        this = cluster.this_plane()
        progress.run(cluster_steps(this))
    print(f"Done in {time.monotonic() - began:.0f} s.")


def program_steps() -> list[Step]:
    """One for each program, so that the long ones are seen to go on."""
    return [program_step(program) for program in programs.PROGRAMS.values()]


def program_step(program: programs.Program) -> Step:
    there = program.path.is_file()

    def act() -> str:
        programs.ensure(program.name)
        return "already built" if there else "built"

    title = f"{program.name} {program.version}"
    return Step(title if there else f"Building {title}", act, 0.0 if there else program.cold_seconds)


def cluster_steps(this: Plane) -> list[Step]:
    return [
        Step("Base image (Debian trixie)", images.ensure_base),
        Step("Pause image", images.ensure_pause),
        Step("Keys, certificates, state", lambda: cluster.ensure_state(this)),
        Step("Links to the programs", lambda: cluster.ensure_links(this)),
        Step(
            "Control plane: etcd, API server, controllers, scheduler",
            lambda: cluster.ensure_control_plane(this),
        ),
        Step("containerd", lambda: cluster.ensure_containerd(this)),
        Step("Node: kubelet, kube-proxy, DNS", lambda: cluster.ensure_node(this)),
        Step("Storage class, two GPUs", lambda: cluster.ensure_helpers(this)),
    ]
