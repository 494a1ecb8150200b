"""Files made from others: `python -m tools.generated` writes them, `--check` only says which are stale.

The chart's values come from values.schema.json, which holds each value's type, default and description:
values.yaml and the table in docs/chart.md are made from it; and the chart's copy of the CRD from crds/, as a
chart is packed alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = Path("charts/chatstream")
CRD = "chatstreams.chatstream.dev.yaml"
BEGIN, END = "<!-- values: generated -->\n", "<!-- values: end -->\n"
WIDTH = 110

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """One value that a user can set."""

    path: tuple[str, ...]
    description: str
    kind: str
    default: Any


def is_section(schema: Schema) -> bool:
    """Whether a property holds others in values.yaml, instead of being a value itself."""
    return "properties" in schema and "default" not in schema


def iterate_values(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[Value]:
    """Every value with a default, in the schema's order."""
    for name, child in schema["properties"].items():
        here = (*path, name)
        if is_section(child):
            yield from iterate_values(child, here)
        elif "default" in child:
            yield Value(here, child["description"], describe_type(child), child["default"])


def describe_type(schema: Schema) -> str:
    """The type in a reader's words: the choices, or the type with its bounds."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    words = {"minimum": "at least", "maximum": "at most"}
    bounds = [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    return ", ".join([str(schema["type"]), *bounds])


def build_values_yaml(schema: Schema) -> str:
    head = "# The chart's values, each with its default. Made from values.schema.json by `make generate`.\n"
    return head + "".join(_value_lines(schema, 0))


def _value_lines(schema: Schema, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, child in schema["properties"].items():
        if not is_section(child) and "default" not in child:
            continue
        if depth == 0:
            yield "\n"
        for line in textwrap.wrap(child["description"], WIDTH - len(indent) - 2):
            yield f"{indent}# {line}\n"
        if is_section(child):
            yield f"{indent}{name}:\n"
            yield from _value_lines(child, depth + 1)
        else:
            dumped = yaml.safe_dump({name: child["default"]}, sort_keys=False, width=WIDTH)
            yield textwrap.indent(dumped, indent)


def build_values_table(schema: Schema) -> str:
    lines = ["| value | type | default | what it does |\n", "|---|---|---|---|\n"]
    for value in iterate_values(schema):
        default = json.dumps(value.default, ensure_ascii=False)
        lines.append(f"| `{'.'.join(value.path)}` | {value.kind} | `{default}` | {value.description} |\n")
    return "".join(lines)


def replace_between(text: str, begin: str, end: str, content: str) -> str:
    """`text` with what stands between two marks replaced; ValueError where a mark is missing."""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the marks {begin.strip()} and {end.strip()} must both stand in the text")
    return before + begin + content + end + after


def build_files(root: Path) -> dict[Path, str]:
    """What each generated file must hold, by its path below `root`."""
    schema = json.loads((root / CHART / "values.schema.json").read_text())
    page = Path("docs/chart.md")
    table = build_values_table(schema)
    source = (root / "crds" / CRD).read_text()
    return {
        CHART / "values.yaml": build_values_yaml(schema),
        page: replace_between((root / page).read_text(), BEGIN, END, table),
        CHART / "files" / "crds" / CRD: f"# A copy of crds/{CRD}, made by `make generate`.\n{source}",
    }


def find_stale(root: Path) -> list[Path]:
    return [path for path, text in build_files(root).items() if _read(root / path) != text]


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.generated", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a file is stale")
    check = parser.parse_args(argv).check
    stale = find_stale(ROOT)
    for path in stale:
        print(f"{path}: {'stale: run `make generate`' if check else 'written'}")
    if not check:
        files = build_files(ROOT)
        for path in stale:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(files[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
