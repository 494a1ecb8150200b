"""The chart, installed with helm as users do, with the images built here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devcluster import images, paths, programs
from devcluster.commands import run
from devcluster.errors import CommandFailed
from devcluster.files import write_if_changed
from devcluster.images import Image
from devcluster.paths import Layout

NAME, NAMESPACE = "chatstream", "chatstream-system"
CHART = paths.REPOSITORY / "charts" / "chatstream"
WAIT_SECONDS = 180


def build_values(made: Mapping[str, Image]) -> dict[str, Any]:
    """The values that differ from the chart's own: images by their names (server, operator, redis)."""

    def place(image: Image) -> dict[str, str]:
        return {"repository": image.repository, "tag": image.tag}

    return {
        "image": {**place(made["operator"]), "pullPolicy": "IfNotPresent"},
        "images": {
            "server": place(made["server"]),
            "redis": place(made["redis"]),
            "pullPolicy": "IfNotPresent",
        },
    }


def ensure(layout: Layout, made: Mapping[str, Image]) -> str:
    """Installed, with this chart and these images, and its operator available; CommandFailed otherwise."""
    values = build_values(made)
    file = layout.config / "values.json"
    write_if_changed(file, json.dumps(values, indent=1))
    wanted = fingerprint(values)
    if deployed(layout) == wanted:
        return "already there"
    _forget_interrupted(layout)
    flags = ["--install", "--create-namespace", "--wait", "--timeout", f"{WAIT_SECONDS}s"]
    what = ["--values", str(file), "--description", wanted]
    try:
        run(
            [*helm(layout), "upgrade", *flags, *what, NAME, CHART],
            env=folders(layout),
            timeout=WAIT_SECONDS + 30,
        )
    except CommandFailed as error:
        raise CommandFailed(
            "helm upgrade --install", error.code, f"{error.output}\n{explain(layout)}"
        ) from error
    return "installed"


def _forget_interrupted(layout: Layout) -> None:
    """helm refuses to go on where an earlier run of it was killed; forgetting that revision lets it."""
    states = "owner=helm,status in (pending-install,pending-upgrade,pending-rollback)"
    run(
        [*kubectl(layout), "delete", "secrets", "--selector", f"{states},name={NAME}"],
        check=False,
        timeout=60,
    )


def fingerprint(values: dict[str, Any]) -> str:
    """Of the chart's files and the values; kept as the release's description."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for part in images.content(paths.REPOSITORY, [str(CHART.relative_to(paths.REPOSITORY))]):
        digest.update(part)
    return f"devcluster {digest.hexdigest()[:16]}"


def deployed(layout: Layout) -> str | None:
    """The fingerprint of what is deployed, if its operator is available too."""
    done = run(
        [*helm(layout), "status", NAME, "--output", "json"], env=folders(layout), check=False, timeout=60
    )
    if done.returncode != 0:
        return None
    info = json.loads(done.stdout)["info"]
    available = run(
        [*kubectl(layout), "wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s"],
        check=False,
        timeout=70,
    )
    return info["description"] if info["status"] == "deployed" and available.returncode == 0 else None


def helm(layout: Layout) -> list[str | Path]:
    return [programs.ensure("helm"), "--kubeconfig", layout.kubeconfig, "--namespace", NAMESPACE]


def kubectl(layout: Layout, namespace: str = NAMESPACE) -> list[str | Path]:
    return [programs.ensure("kubectl"), "--kubeconfig", layout.kubeconfig, "--namespace", namespace]


def folders(layout: Layout) -> dict[str, str]:
    """helm's own folders inside ours: nothing of the user's helm is read or written."""
    kinds = ("CACHE", "CONFIG", "DATA")
    return {f"HELM_{kind}_HOME": str(layout.state / "helm" / kind.lower()) for kind in kinds}


def explain(layout: Layout) -> str:
    """Why the operator does not come up: its pods and the last events."""
    pods = run([*kubectl(layout), "get", "pods", "-o", "wide"], check=False).stdout
    events = run([*kubectl(layout), "get", "events", "--sort-by=.lastTimestamp"], check=False).stdout
    operator = [*kubectl(layout), "logs", "--tail=20", "--selector=app.kubernetes.io/component=operator"]
    logs = run(operator, check=False)
    return "\n".join([pods, *events.splitlines()[-10:], logs.stdout])
