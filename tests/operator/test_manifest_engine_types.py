"""The pod of an engine of type TGI differs from that of Demo in what is listed here, and in nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.operator.samples import TGI, children, demo, tgi

# The one place: paths in the Deployment, lists by the names of their items.
ENGINE = "spec.template.spec.initContainers[engine]"
DIFFERENT = {
    f"{ENGINE}.image": "image",
    f"{ENGINE}.args": "arguments",
    f"{ENGINE}.startupProbe.periodSeconds": "probes",
    f"{ENGINE}.startupProbe.timeoutSeconds": "probes",
    f"{ENGINE}.startupProbe.failureThreshold": "probes",
    f"{ENGINE}.livenessProbe.timeoutSeconds": "probes",
    f"{ENGINE}.livenessProbe.failureThreshold": "probes",
    f"{ENGINE}.volumeMounts[model-cache]": "cache",
    "spec.template.spec.volumes[model-cache]": "cache",
    f"{ENGINE}.volumeMounts[shm]": "shared memory",
    "spec.template.spec.volumes[shm]": "shared memory",
}
GPU = {"count": 1}
ON_DEMO = demo(engine={"type": "Demo", "gpu": GPU}, model=TGI["model"])
ON_TGI = tgi(engine={"type": "TGI", "gpu": GPU})
MISSING = object()


def named(items: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """A list as a dict, where its items have names."""
    if isinstance(items, list) and all(isinstance(item, dict) and "name" in item for item in items):
        return {f"[{item['name']}]": item for item in items}
    return {f".{key}": value for key, value in items.items()} if isinstance(items, dict) else {}


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 -- JSON
    left, right = named(one), named(other)
    if not left or not right:
        if one != other:
            yield path.removeprefix(".")
        return
    for key in left.keys() | right.keys():
        yield from differences(left.get(key, MISSING), right.get(key, MISSING), f"{path}{key}")


def test_the_deployments_differ_in_what_is_listed_only() -> None:
    on_demo, on_tgi = (children(one)["Deployment/demo"] for one in (ON_DEMO, ON_TGI))
    assert set(differences(on_demo, on_tgi)) == set(DIFFERENT)


def test_all_other_children_are_the_same() -> None:
    on_demo, on_tgi = children(ON_DEMO), children(ON_TGI)
    assert on_demo.keys() == on_tgi.keys()
    for name in on_demo.keys() - {"Deployment/demo"}:
        assert on_demo[name] == on_tgi[name]


def test_a_cache_adds_a_claim_to_tgi_and_nothing_to_demo() -> None:
    model = {**TGI["model"], "cache": {"size": "1Gi"}}
    gpu = {"gpu": GPU}
    cached = children(tgi(engine={"type": "TGI", **gpu}, model=model))
    assert cached.keys() - children(ON_TGI).keys() == {"PersistentVolumeClaim/demo-model-cache"}
    assert children(demo(engine={"type": "Demo", **gpu}, model=model)) == children(ON_DEMO)
