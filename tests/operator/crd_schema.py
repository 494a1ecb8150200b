"""The CRD's schema, flattened: what the tests compare with the model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.operator.samples import CRD

Node = dict[str, Any]
_BOUND = re.compile(r"duration\(self\) (>=|<=) duration\('([^']+)'\)")


def load_crd() -> Node:
    crd: Node = yaml.safe_load(CRD.read_text())
    return crd


def root_schema() -> Node:
    schema: Node = load_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def spec_schema() -> Node:
    schema: Node = root_schema()["properties"]["spec"]
    return schema


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every property below a node, by its dotted path; items of lists as `[]`."""
    for name, child in node.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, child
        yield from walk(child, here)
    if "items" in node:
        yield f"{path}[]", node["items"]
        yield from walk(node["items"], f"{path}[]")


def duration_bounds(node: Node) -> tuple[str, str] | None:
    """The least and the most that the CEL rule of a duration allows; None for what is no duration."""
    for rule in node.get("x-kubernetes-validations", ()):
        found = dict(_BOUND.findall(rule["rule"]))
        if found:
            return found[">="], found["<="]
    return None
