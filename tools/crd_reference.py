"""docs/resource.md from the CRD: `python -m tools.crd_reference` writes it; `--check` says if it is stale."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CRD = ROOT / "crds" / "chatstreams.chatstream.dev.yaml"
PAGE = ROOT / "docs" / "resource.md"
HEAD = """\
# The ChatStream resource

Generated from `crds/chatstreams.chatstream.dev.yaml` by `python -m tools.crd_reference`: change that file.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; end with 1 where the page is stale"
    )
    page = build_page(yaml.safe_load(CRD.read_text()))
    if not parser.parse_args().check:
        PAGE.write_text(page)
    elif not PAGE.is_file() or PAGE.read_text() != page:
        print(f"{PAGE.relative_to(ROOT)}: stale, run: python -m tools.crd_reference")
        sys.exit(1)


if __name__ == "__main__":
    main()
