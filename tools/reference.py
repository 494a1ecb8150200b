"""The reference tables of docs/: every value of the chart, every setting of the server."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; an empty default means that there is none."""

    name: str
    kind: str
    default: str
    description: str


def build_table(first: str, rows: Iterator[Row]) -> str:
    lines = [f"| {first} | type | default | what it does |\n", "|---|---|---|---|\n"]
    for row in rows:
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.name}` | {_cell(row.kind)} | {default} | {_cell(row.description)} |\n")
    return "".join(lines)


def _cell(text: str) -> str:
    """On one line, with nothing in it that would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def describe_type(schema: Schema) -> str:
    """The type in a reader's words: the choices, or the type with its bounds."""
    if "enum" in schema:
        return ", ".join("null" if choice is None else str(choice) for choice in schema["enum"])
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "maxLength": "length at most",
    }
    bounds = [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    return ", ".join([str(schema.get("type", "any")), *bounds])


def field_notes(model: type[BaseModel]) -> dict[str, str]:
    """The strings that stand under the fields of a settings class, by field."""
    [definition] = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)
    notes: dict[str, str] = {}
    for field, note in itertools.pairwise(definition.body):
        if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr):
            notes[ast.unparse(field.target)] = str(ast.literal_eval(note.value))
    return notes


def iterate_settings(model: type[BaseModel], path: str = "") -> Iterator[Row]:
    """The settings of a model and of the models in it, by their path in the file."""
    schema = model.model_json_schema()
    notes = field_notes(model)
    for name, field in model.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from iterate_settings(field.annotation, f"{path}{name}.")
            continue
        child = schema["properties"][name]
        known = [choice for choice in child.get("anyOf", [child]) if choice.get("type") != "null"]
        kind = describe_type(known[0]) + (", or null" if "anyOf" in child else "")
        yield Row(path + name, kind, json.dumps(field.default), notes.get(name, ""))


def build_settings_table(model: type[BaseModel]) -> str:
    return build_table("setting", iterate_settings(model))


def build_environment_table(model: type[BaseModel], prefix: str) -> str:
    """The same for settings that come by environment only."""
    rows = iterate_settings(model)
    return build_table("variable", (replace(row, name=f"{prefix}{row.name.upper()}") for row in rows))
