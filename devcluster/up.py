"""`up`: the whole list of steps, each of which leaves alone what is right already."""

from __future__ import annotations

import time

from devcluster import (
    chat,
    cluster,
    demo,
    farewell,
    forwarder,
    images,
    packages,
    preflight,
    programs,
    release,
    state,
)
from devcluster.images import Image, Recipe
from devcluster.paths import CLUSTER, Layout
from devcluster.progress import Progress, Step

BASE_SECONDS, IMAGE_SECONDS = 25.0, 40.0


def up(port: int) -> None:
    """Bring everything about; DevclusterError, in plain words, where it cannot."""
    began = time.monotonic()
    cold = not all(programs.built(name) for name in programs.PROGRAMS)
    preflight.check(port, cold=cold)
    with state.locked(CLUSTER):
        progress = Progress()
        first = [Step("Debian packages", packages.ensure), *program_steps()]
        progress.run([*first, *cluster_steps(), *product_steps(CLUSTER, port)])
        chat.stream_turn(port)
    print(farewell.build(CLUSTER, port))
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


def cluster_steps() -> list[Step]:
    # Looked up when first needed: iproute2 may be among the packages that the first step installs.
    this = cluster.this_plane
    return [
        Step("Base image (Debian trixie)", images.ensure_base),
        Step("Pause image", images.ensure_pause),
        Step("Keys, certificates, state", lambda: cluster.ensure_state(this())),
        Step("Links to the programs", lambda: cluster.ensure_links(this())),
        Step(
            "Control plane: etcd, API server, controllers, scheduler",
            lambda: cluster.ensure_control_plane(this()),
        ),
        Step("containerd", lambda: cluster.ensure_containerd(this())),
        Step("Node: kubelet, kube-proxy, DNS", lambda: cluster.ensure_node(this())),
        Step("Storage class, two GPUs", lambda: cluster.ensure_helpers(this())),
    ]


def image_step(layout: Layout, recipe: Recipe, made: dict[str, Image]) -> Step:
    """Build and import one image of the product, and note it in `made`."""

    def act() -> str:
        image, built = images.ensure(recipe)
        made[recipe.name] = image
        imported = images.ensure_imported(layout, image)
        images.forget_older(layout, image)
        return f"{image.tag} {built}, {imported}"

    there = images.of(recipe).archive.is_file()
    return Step(f"Image {images.PREFIX}/{recipe.name}", act, 0.0 if there else IMAGE_SECONDS)


def product_steps(layout: Layout, port: int) -> list[Step]:
    made: dict[str, Image] = {}
    service = f"{demo.NAME}.{demo.NAMESPACE}"
    return [
        *(image_step(layout, recipe, made) for recipe in images.RECIPES),
        Step("Chart (helm upgrade --install chatstream)", lambda: release.ensure(layout, made)),
        Step("examples/chatstream-demo.yaml", lambda: demo.ensure_applied(layout)),
        Step("The demo is Ready", lambda: demo.wait_ready(layout, made["server"].reference)),
        Step("Forwarder (TLS)", lambda: forwarder.ensure(layout, port=port, service=service)),
        Step("The way to the demo", lambda: chat.wait_served(port)),
    ]
