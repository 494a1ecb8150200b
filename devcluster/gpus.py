"""Two nvidia.com/gpu on the node: `python3 -m devcluster.gpus KUBECONFIG`.

The scheduler and the kubelet's admission go by the node's status alone. The kubelet sets resources that no
device plugin offers to 0 whenever it starts, so this watches, and puts them back.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from devcluster.errors import DevclusterError
from devcluster.kube import Kube, KubeError
from devcluster.node import NODE

RESOURCE = "nvidia.com/gpu"
COUNT = "2"
PERIOD_SECONDS = 1.0


def is_right(node: dict[str, Any]) -> bool:
    status = node.get("status", {})
    return all(status.get(part, {}).get(RESOURCE) == COUNT for part in ("capacity", "allocatable"))


def reconcile(kube: Kube) -> bool:
    """Put the GPUs on the node if they are not there; whether they are now."""
    node = kube.find(f"/api/v1/nodes/{NODE}")
    if node is None:
        return False
    if not is_right(node):
        patch = {"status": {part: {RESOURCE: COUNT} for part in ("capacity", "allocatable")}}
        kube.merge(f"/api/v1/nodes/{NODE}/status", patch)
    return True


def wait(kube: Kube, seconds: float = 30.0) -> None:
    """Until the node has them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_right(kube.get(f"/api/v1/nodes/{NODE}")):
            return
        time.sleep(0.2)
    raise DevclusterError(f"The node does not offer {COUNT} {RESOURCE} after {seconds:.0f} s; see gpus.log")


def main(kubeconfig: Path) -> None:
    """Reconcile for ever; an API server that is away is waited for."""
    kube = Kube.load(kubeconfig)
    while True:
        try:
            reconcile(kube)
        except KubeError as error:
            print(f"again in a moment: {error}", flush=True)
        time.sleep(PERIOD_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
