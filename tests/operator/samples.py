"""Resources, plans and pods as the operator's tests use them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from chatstream_operator.manifests import Manifest, Plan, build_children
from chatstream_operator.settings import OperatorSettings
from chatstream_operator.spec import API_VERSION, KIND, ChatStream, Key, parse_chatstream

ROOT = Path(__file__).resolve().parents[2]
CRD = ROOT / "crds" / "chatstreams.chatstream.dev.yaml"
UID = "11111111-2222-3333-4444-555555555555"
KEY = Key("team", "demo")
SETTINGS = OperatorSettings(server_image="server:1", tgi_image="tgi:1", redis_image="redis:1")
DEMO: dict[str, Any] = {"engine": {"type": "Demo"}}
TGI: dict[str, Any] = {"engine": {"type": "TGI"}, "model": {"id": "acme/llama-3"}}


def raw_chatstream(
    spec: dict[str, Any] | None = None, *, name: str = "demo", generation: int = 1
) -> Manifest:
    meta = {"name": name, "namespace": "team", "uid": UID, "generation": generation, "resourceVersion": "1"}
    chosen = copy.deepcopy(DEMO if spec is None else spec)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": chosen}


def chatstream(spec: dict[str, Any] | None = None) -> ChatStream:
    return parse_chatstream(raw_chatstream(spec))


def demo(**parts: object) -> ChatStream:
    """A resource with the Demo engine, and these parts of the spec."""
    return chatstream({**DEMO, **parts})


def tgi(**parts: object) -> ChatStream:
    return chatstream({**TGI, **parts})


def plan(resource: ChatStream | None = None, settings: OperatorSettings = SETTINGS) -> Plan:
    return Plan(resource or chatstream(), settings, keys_checksum="keys", redis_checksum="redis")


def children(
    resource: ChatStream | None = None, settings: OperatorSettings = SETTINGS
) -> dict[str, Manifest]:
    """All children, by `Kind/name`."""
    built = build_children(plan(resource, settings))
    return {f"{child['kind']}/{child['metadata']['name']}": child for child in built}


def pod_spec(resource: ChatStream | None = None, settings: OperatorSettings = SETTINGS) -> dict[str, Any]:
    spec: dict[str, Any] = children(resource, settings)["Deployment/demo"]["spec"]["template"]["spec"]
    return spec


def engine_of(resource: ChatStream | None = None) -> dict[str, Any]:
    engine: dict[str, Any] = pod_spec(resource)["initContainers"][0]
    return engine


def server_of(resource: ChatStream | None = None) -> dict[str, Any]:
    server: dict[str, Any] = pod_spec(resource)["containers"][0]
    return server


def env_of(container: dict[str, Any]) -> dict[str, Any]:
    """Values, and for secrets their reference."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def config_of(resource: ChatStream | None = None) -> dict[str, Any]:
    """The server's settings, as they are rendered."""
    config: dict[str, Any] = yaml.safe_load(
        children(resource)["ConfigMap/demo-config"]["data"]["config.yaml"]
    )
    return config
