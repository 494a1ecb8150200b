"""docs/resource.md from the CRD: every field of the resource, and every rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

HEAD = """\
# The ChatStream resource

Generated from `crds/chatstreams.chatstream.dev.yaml` by `make generate`: change that file.
`kubectl explain chatstream.spec` shows the same. The API server refuses what breaks a rule, with a message
that names the field and the remedy.

"""
_DURATION = re.compile(r"duration\(self\) (?:>=|<=) duration\('([^']+)'\)")

Node = dict[str, Any]


def build_page(crd: Node) -> str:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parts = [HEAD]
    for section in ("spec", "status"):
        node = schema["properties"][section]
        parts.append(f"## {section}\n\n{node['description']}\n\n{_table(node, section)}\n")
    parts.append("## Rules\n\n" + "".join(f"- {message}\n" for message in _messages(schema)))
    return "".join(parts)


def _table(node: Node, path: str) -> str:
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field, required in _walk(node, path):
        default = "required" if required else _default(field)
        text = field["description"].replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(field)} | {default} | {text} |")
    return "\n".join(lines) + "\n"


def _walk(node: Node, path: str) -> Iterator[tuple[str, Node, bool]]:
    """Every field below a node that holds a value: its path, its schema, whether it must be given."""
    for name, child in node.get("properties", {}).items():
        here, required = f"{path}.{name}", name in node.get("required", ())
        inner = child.get("items", child)
        if inner.get("properties"):
            yield here, child, required
            yield from _walk(inner, f"{here}[]" if "items" in child else here)
        else:
            yield here, child, required


def _type(node: Node) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    rules = " ".join(rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
    if bounds := _DURATION.findall(rules):
        return f"duration, {bounds[0]} to {bounds[1]}"
    if "isQuantity" in rules:
        return "quantity"
    if node["type"] == "array":
        most = f", at most {node['maxItems']}" if "maxItems" in node else ""
        return f"list of {node['items']['type']}s{most}"
    return f"{node['type']}{_bounds(node)}"


def _bounds(node: Node) -> str:
    least = f", {'above' if node.get('exclusiveMinimum') else 'at least'} {node.get('minimum')}"
    most = f", at most {node.get('maximum')}"
    return (least if "minimum" in node else "") + (most if "maximum" in node else "")


def _default(node: Node) -> str:
    if "default" not in node or node["default"] == {}:
        return ""
    return f"`{json.dumps(node['default'])}`"


def _messages(node: Node) -> Iterator[str]:
    yield from (rule["message"] for rule in node.get("x-kubernetes-validations", ()))
    for child in node.get("properties", {}).values():
        yield from _messages(child)
