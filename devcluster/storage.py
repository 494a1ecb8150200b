"""The default StorageClass `local` and its provisioner: `python3 -m devcluster.storage KUBECONFIG FOLDER`.

Claims get `local` PersistentVolumes, which honour fsGroup, so that restricted pods can write; the controller
manager's own host-path provisioner makes folders that only root can use. Data of released volumes is deleted.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from devcluster.kube import Kube, KubeError
from devcluster.node import NODE

CLASS = "local"
PROVISIONER = "chatstream.dev/local"
PERIOD_SECONDS = 1.0
MADE_BY = "pv.kubernetes.io/provisioned-by"
WANTED_OF = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")

Json = dict[str, Any]


def build_class() -> Json:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def wants_volume(claim: Json) -> bool:
    """Whether the claim waits for this provisioner; the controller manager says so once a pod uses it."""
    annotations = claim["metadata"].get("annotations", {})
    waiting = claim.get("status", {}).get("phase") == "Pending" and not claim["spec"].get("volumeName")
    block = claim["spec"].get("volumeMode", "Filesystem") != "Filesystem"
    return waiting and not block and any(annotations.get(key) == PROVISIONER for key in WANTED_OF)


def volume_name(claim: Json) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def build_volume(claim: Json, folder: Path) -> Json:
    """The PersistentVolume for a claim, already bound to it."""
    meta = claim["metadata"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim), "annotations": {MADE_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": claim["spec"]["storageClassName"],
            "volumeMode": "Filesystem",
            "local": {"path": str(folder / volume_name(claim))},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
        },
    }


def is_released(volume: Json) -> bool:
    """Whether its claim is gone and its data is to go too."""
    ours = volume["metadata"].get("annotations", {}).get(MADE_BY) == PROVISIONER
    deletes = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    return ours and deletes and volume.get("status", {}).get("phase") in ("Released", "Failed")


def reconcile(kube: Kube, folder: Path) -> None:
    """One round: volumes for claims that wait, then released ones and folders without a volume away."""
    claims = kube.get("/api/v1/persistentvolumeclaims")["items"]
    for claim in filter(wants_volume, claims):
        (folder / volume_name(claim)).mkdir(parents=True, exist_ok=True, mode=0o770)
        kube.apply(f"/api/v1/persistentvolumes/{volume_name(claim)}", build_volume(claim, folder))
    volumes = kube.get("/api/v1/persistentvolumes")["items"]
    for volume in filter(is_released, volumes):
        shutil.rmtree(folder / volume["metadata"]["name"], ignore_errors=True)
        kube.delete(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")
    known = {volume["metadata"]["name"] for volume in volumes}
    for left in folder.glob("pvc-*"):
        if left.name not in known:
            shutil.rmtree(left, ignore_errors=True)


def main(kubeconfig: Path, folder: Path) -> None:
    """Reconcile for ever; an API server that is away is waited for."""
    kube = Kube.load(kubeconfig)
    while True:
        try:
            reconcile(kube, folder)
        except KubeError as error:
            print(f"again in a moment: {error}", flush=True)
        time.sleep(PERIOD_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
