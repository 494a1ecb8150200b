"""The golden manifests. `python -m tests.operator.golden_files` writes them anew; then review the diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from chatstream_operator.manifests import Manifest, build_keys_secret, build_redis_secret
from chatstream_operator.spec import ChatStream
from tests.operator.samples import children, demo, tgi

FOLDER = Path(__file__).parent / "golden"
TOKEN = {"name": "hf", "key": "token"}
RESOURCES = {
    "demo": demo(),
    "tgi": tgi(
        model={
            "id": "meta-llama/Llama-3.1-8B-Instruct",
            "revision": "main",
            "tokenSecretRef": TOKEN,
            "cache": {"size": "100Gi"},
        },
        replicas=2,
        chat={"systemPrompt": "You are helpful.", "maxTurns": 50},
    ),
}


def build_golden(resource: ChatStream) -> list[Manifest]:
    """All children as they are applied, the Secrets with a fixed text in the place of random ones."""
    secrets = [build(resource, lambda: "random") for build in (build_keys_secret, build_redis_secret)]
    return [*secrets, *children(resource).values()]


def read_golden(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()))


def write_golden(name: str) -> None:
    # Through JSON, so that YAML makes no anchors of what is the same object twice.
    plain = [json.loads(json.dumps(manifest)) for manifest in build_golden(RESOURCES[name])]
    (FOLDER / f"{name}.yaml").write_text(yaml.safe_dump_all(plain, sort_keys=False, width=110))


if __name__ == "__main__":
    for resource_name in RESOURCES:
        write_golden(resource_name)
