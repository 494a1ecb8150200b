"""Files made from others: `python -m tools.generated` writes them, `--check` only says which are stale.

The chart's values come from values.schema.json, which holds each value's type, default and description:
values.yaml and the table in docs/chart.md are made from it; the chart's copy of the CRD from crds/, as a
chart is packed alone; docs/resource.md from the CRD, docs/settings.md from the server's settings,
and the table in docs/operator.md from the operator's.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from chatstream.settings import Settings
from chatstream_operator.settings import OperatorSettings
from tools.crd_reference import build_page
from tools.reference import Row, build_environment_table, build_settings_table, build_table, describe_type

ROOT = Path(__file__).resolve().parent.parent
CHART = Path("charts/chatstream")
CRD = "chatstreams.chatstream.dev.yaml"
BEGIN, END = "<!-- generated -->\n", "<!-- generated: end -->\n"
WIDTH = 110

Schema = Mapping[str, Any]


def is_section(schema: Schema) -> bool:
    """Whether a property holds others in values.yaml, instead of being a value itself."""
    return "properties" in schema and "default" not in schema


def iterate_values(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """The path and schema of every value with a default, in the schema's order."""
    for name, child in schema["properties"].items():
        here = (*path, name)
        if is_section(child):
            yield from iterate_values(child, here)
        elif "default" in child:
            yield here, child


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
    return build_table("value", map(_row, *zip(*iterate_values(schema), strict=True)))


def _row(path: tuple[str, ...], value: Schema) -> Row:
    default = json.dumps(value["default"], ensure_ascii=False)
    return Row(".".join(path), describe_type(value), default, value["description"])


def fill(text: str, content: str) -> str:
    """`text` with what stands between the two marks replaced; ValueError where a mark is missing."""
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"the marks {BEGIN.strip()} and {END.strip()} must both stand in the text")
    return before + BEGIN + content + END + after


def build_files(root: Path) -> dict[Path, str]:
    """What each generated file must hold, by its path below `root`."""
    schema = json.loads((root / CHART / "values.schema.json").read_text())
    crd = (root / "crds" / CRD).read_text()
    tables = {
        Path("docs/chart.md"): build_values_table(schema),
        Path("docs/operator.md"): build_environment_table(OperatorSettings, "CHATSTREAM_OPERATOR_"),
        Path("docs/settings.md"): build_settings_table(Settings),
    }
    return {
        CHART / "values.yaml": build_values_yaml(schema),
        CHART / "files" / "crds" / CRD: f"# A copy of crds/{CRD}, made by `make generate`.\n{crd}",
        Path("docs/resource.md"): build_page(yaml.safe_load(crd)),
        **{page: fill((root / page).read_text(), table) for page, table in tables.items()},
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
