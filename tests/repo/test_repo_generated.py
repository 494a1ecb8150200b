"""The generated files: none is stale, and what the generator makes of a small schema."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import generated

SCHEMA: dict[str, Any] = {
    "properties": {
        "global": {"description": "Helm's.", "type": "object"},
        "image": {
            "description": "The image.",
            "type": "object",
            "properties": {"tag": {"description": "Its tag.", "type": "string", "default": ""}},
        },
        "seconds": {"description": "How long.", "type": "integer", "minimum": 5, "default": 30},
        "resources": {
            "description": "What it needs.",
            "type": "object",
            "properties": {"cpu": {"description": "Cores.", "type": "string"}},
            "default": {"cpu": "1"},
        },
    }
}


def test_no_generated_file_is_stale() -> None:
    assert generated.find_stale(generated.ROOT) == []


def test_values_are_written_with_their_descriptions() -> None:
    text = generated.build_values_yaml(SCHEMA)
    assert yaml.safe_load(text) == {"image": {"tag": ""}, "seconds": 30, "resources": {"cpu": "1"}}
    assert "\n# The image.\nimage:\n  # Its tag.\n  tag: ''\n" in text


def test_the_table_has_a_line_for_each_value() -> None:
    assert generated.build_values_table(SCHEMA).splitlines()[2:] == [
        '| `image.tag` | string | `""` | Its tag. |',
        "| `seconds` | integer, at least 5 | `30` | How long. |",
        '| `resources` | object | `{"cpu": "1"}` | What it needs. |',
    ]


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    filled = generated.fill(f"a\n{generated.BEGIN}old\n{generated.END}b\n", "new\n")
    assert filled == f"a\n{generated.BEGIN}new\n{generated.END}b\n"


@pytest.mark.parametrize("text", ["no marks", generated.BEGIN, generated.END])
def test_missing_marks_are_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match="must both stand"):
        generated.fill(text, "new")


def test_a_stale_or_missing_file_is_found(tmp_path: Path) -> None:
    for folder in ("crds", "docs", "charts/chatstream"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(generated.ROOT / "crds" / generated.CRD, tmp_path / "crds")
    for page in ("chart", "operator", "settings"):
        (tmp_path / "docs" / f"{page}.md").write_text(generated.BEGIN + generated.END)
    (tmp_path / generated.CHART / "values.schema.json").write_text(json.dumps(SCHEMA))
    names = [path.name for path in generated.find_stale(tmp_path)]
    assert names == ["values.yaml", generated.CRD, "resource.md", "chart.md", "operator.md", "settings.md"]
