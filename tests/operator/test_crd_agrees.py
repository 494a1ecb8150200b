"""The CRD and the model say the same: fields, required ones, types, defaults, bounds, enums."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from chatstream_operator.spec.durations import parse_duration
from chatstream_operator.spec.model import Spec
from tests.operator.crd_schema import duration_bounds, spec_schema, walk

SCHEMA = dict(walk(spec_schema()))


def unwrap(annotation: object) -> Any:  # noqa: ANN401 -- types are values here
    """Without Optional and Annotated."""
    if typing.get_origin(annotation) is typing.Annotated:
        return unwrap(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {types.UnionType, typing.Union}:
        return unwrap(next(arg for arg in typing.get_args(annotation) if arg is not type(None)))
    return annotation


def constraints(annotation: object) -> list[Any]:
    """What Annotated says, at any depth of an Optional."""
    if typing.get_origin(annotation) in {types.UnionType, typing.Union}:
        return [one for arg in typing.get_args(annotation) for one in constraints(arg)]
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *metadata = typing.get_args(annotation)
        spread = [
            one for item in metadata for one in (item.metadata if isinstance(item, FieldInfo) else [item])
        ]
        return [*constraints(inner), *spread]
    return []


def model_fields(model: type[BaseModel], path: str = "") -> dict[str, FieldInfo]:
    """Every field below a model, by its dotted path in the resource."""
    found: dict[str, FieldInfo] = {}
    for field in model.model_fields.values():
        here = f"{path}.{field.alias}" if path else str(field.alias)
        found[here] = field
        inner = unwrap(field.annotation)
        if typing.get_origin(inner) is list:
            here, inner = f"{here}[]", unwrap(typing.get_args(inner)[0])
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= model_fields(inner, here)
    return found


FIELDS = model_fields(Spec)


def all_constraints(field: FieldInfo) -> list[Any]:
    return [*field.metadata, *constraints(field.annotation)]


def bound(field: FieldInfo, *kinds: type) -> float | int | None:
    found: list[Any] = [one for one in all_constraints(field) if isinstance(one, kinds)]
    value: float | int | None = getattr(found[0], fields(found[0])[0].name) if found else None
    return value


def test_both_have_the_same_fields() -> None:
    assert {path for path in SCHEMA if not path.endswith("[]")} == set(FIELDS)


@pytest.mark.parametrize("path", FIELDS)
def test_both_require_the_same(path: str) -> None:
    parent, _, name = path.rpartition(".")
    node = SCHEMA[parent] if parent else spec_schema()
    assert FIELDS[path].is_required() == (name in node.get("required", ()))


@pytest.mark.parametrize("path", FIELDS)
def test_both_have_the_same_default(path: str) -> None:
    node, field = SCHEMA[path], FIELDS[path]
    if "default" not in node:
        assert field.is_required() or not field.get_default(call_default_factory=True)
    elif node["default"] == {}:
        assert isinstance(field.get_default(call_default_factory=True), BaseModel)
    else:
        default = parse_duration(node["default"]) if duration_bounds(node) else node["default"]
        assert field.default == default


@pytest.mark.parametrize("path", FIELDS)
def test_both_have_the_same_type(path: str) -> None:
    inner = unwrap(FIELDS[path].annotation)
    names = {int: "integer", bool: "boolean", str: "string", float: "number"}
    if duration_bounds(SCHEMA[path]):
        assert (inner, SCHEMA[path]["type"]) == (float, "string")
    elif typing.get_origin(inner) is typing.Literal:
        assert SCHEMA[path]["enum"] == list(typing.get_args(inner))
    elif typing.get_origin(inner) is list:
        assert SCHEMA[path]["type"] == "array"
    else:
        assert SCHEMA[path]["type"] == names.get(inner, "object")
        assert "enum" not in SCHEMA[path]


@pytest.mark.parametrize("path", FIELDS)
def test_both_have_the_same_bounds(path: str) -> None:
    node, field = SCHEMA[path], FIELDS[path]
    durations = duration_bounds(node)
    least, most = (
        tuple(map(parse_duration, durations)) if durations else (node.get("minimum"), node.get("maximum"))
    )
    assert bound(field, Ge, Gt) == least
    assert bound(field, Le) == most
    assert any(isinstance(one, Gt) for one in all_constraints(field)) == node.get("exclusiveMinimum", False)


@pytest.mark.parametrize("path", [path for path in FIELDS if SCHEMA[path]["type"] in {"string", "array"}])
def test_both_have_the_same_sizes(path: str) -> None:
    node, field = SCHEMA[path], FIELDS[path]
    if duration_bounds(node) or "enum" in node:
        return
    size = ("minItems", "maxItems") if node["type"] == "array" else ("minLength", "maxLength")
    rules = " ".join(rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
    assert bound(field, MaxLen) == node[size[1]]
    # What a rule calls a quantity is not empty.
    least = 1 if "isQuantity" in rules else node.get(size[0])
    assert bound(field, MinLen) == least


def value_strategy(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the schema admits."""
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if bounds := duration_bounds(node):
        least, most = map(parse_duration, bounds)
        return st.integers(int(least), int(most)).map(lambda seconds: f"{seconds}s").filter(_short)
    kinds: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "integer": lambda: st.integers(node.get("minimum"), node.get("maximum")),
        "number": lambda: st.floats(
            node["minimum"], node["maximum"], exclude_min=node.get("exclusiveMinimum", False)
        ),
        "boolean": st.booleans,
        "string": lambda: st.text(min_size=node.get("minLength", 0), max_size=min(node["maxLength"], 50)),
        "array": lambda: st.lists(value_strategy(node["items"]), max_size=node["maxItems"] // 8),
        "object": lambda: object_strategy(node),
    }
    rules = " ".join(rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
    if "isQuantity" in rules and node["type"] == "string":
        return st.sampled_from(["1Gi", "1e3", "100M", "1.5Ti", "1"])
    return kinds[node["type"]]()


def _short(text: str) -> bool:
    return len(text) <= 7


def object_strategy(node: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    properties = {name: value_strategy(child) for name, child in node["properties"].items()}
    required = {name: properties.pop(name) for name in node.get("required", ())}
    return st.fixed_dictionaries(required, optional=properties)


@given(object_strategy(spec_schema()))
def test_whatever_the_schema_admits_the_model_parses(raw: dict[str, Any]) -> None:
    Spec.model_validate(raw)
