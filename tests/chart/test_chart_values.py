"""The values: a strict schema that says what is wrong, all described, all set in the all-options file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from helm import ALL_OPTIONS, CHART, Helm
from tools.generated import iterate_values

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
# Theirs are names that the user chooses, or an object of Kubernetes' own.
OPEN = {"nodeAffinity", "podAffinity", "podAntiAffinity", "global"}


def iterate_schemas(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema below this one, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from iterate_schemas(child, f"{path}/{name}")
    if "items" in schema:
        yield from iterate_schemas(schema["items"], f"{path}/items")


def look_up(values: Mapping[str, Any], path: tuple[str, ...]) -> object:
    for name in path:
        values = values[name]
    return values


def test_every_object_is_closed() -> None:
    for path, schema in iterate_schemas(SCHEMA):
        if schema.get("type") != "object" or path.rsplit("/", 1)[-1] in OPEN:
            continue
        assert schema["additionalProperties"] in (False, {"type": "string"}), path


def test_every_value_is_described() -> None:
    for path, schema in iterate_schemas(SCHEMA):
        assert path == "" or path.endswith("/items") or schema["description"].endswith("."), path


def test_every_value_has_a_default_and_is_set_by_all_options() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    everything = yaml.safe_load(ALL_OPTIONS.read_text())
    for path, value in iterate_values(SCHEMA):
        assert look_up(defaults, path) == value["default"]
        chosen = look_up(everything, path)
        assert chosen != value["default"] or isinstance(chosen, bool), path


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("replicas=2", "'replicas'"),
        ("image.repo=mine", "'repo'"),
        ("images.vllm.repository=mine", "'vllm'"),
        ("resources.requests.gpu=1", "'gpu'"),
        ("crds.keep=false", "'keep'"),
        ("imagePullSecrets[0].nmae=registry", "'nmae'"),
    ],
)
def test_an_unknown_key_is_refused_by_name(helm: Helm, setting: str, named: str) -> None:
    result = helm.run("template", "chatstream", str(CHART), "--set", setting)
    assert result.status != 0
    assert f"additional properties {named} not allowed" in result.err


@pytest.mark.parametrize(
    ("setting", "at"),
    [
        ("logLevel=loud", "/logLevel"),
        ("resyncSeconds=0", "/resyncSeconds"),
        ("image.digest=latest", "/image/digest"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("crds.install=maybe", "/crds/install"),
        ("images.tgi.tag=", "/images/tgi/tag"),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(helm: Helm, setting: str, at: str) -> None:
    result = helm.run("template", "chatstream", str(CHART), "--set", setting)
    assert result.status != 0
    assert f"at '{at}'" in result.err


def test_the_chart_works_as_a_part_of_another(helm: Helm) -> None:
    """Helm gives such a chart a `global` that nobody set."""
    assert helm.template("--set", "global.region=eu")
