"""Drift: what differs from what is wanted, and what somebody else has added."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream_operator.manifests.names import HASH_ANNOTATION
from chatstream_operator.reconcile.drift import foreign_paths, has_drifted, removal, with_hash
from tests.operator.samples import children, tgi

CHILDREN = children(tgi(model={"id": "x", "cache": {"size": "1Gi"}}))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_nothing_has_drifted_from_itself(value: object) -> None:
    assert not has_drifted(value, value)


@pytest.mark.parametrize("name", CHILDREN)
def test_no_child_has_drifted_from_itself(name: str) -> None:
    manifest = with_hash(CHILDREN[name])
    assert not has_drifted(manifest, copy.deepcopy(manifest))
    assert not list(foreign_paths(manifest, copy.deepcopy(manifest)))


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "x", "default": 1}]}),
        ({"a": {}}, {}),
        ({"a": []}, {}),
        ({"a": ""}, {}),
        ({"a": False}, {}),
        ({"emptyDir": {}}, {"emptyDir": {}}),
        ({"requests": {"cpu": "1000m"}}, {"requests": {"cpu": "1"}}),
        ({"requests": {"storage": "1024Mi"}}, {"requests": {"storage": "1Gi"}}),
        ({"sizeLimit": "1024Mi"}, {"sizeLimit": "1Gi"}),
    ],
)
def test_defaults_and_other_writings_are_no_drift(wanted: dict[str, Any], live: dict[str, Any]) -> None:
    assert not has_drifted(wanted, live)


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": {"b": 1}}, {"a": None}),
        ({"a": {"b": 1}}, {"a": "text"}),
        ({"a": ["x"]}, {"a": ["x", "y"]}),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}),
        ({"a": [{"name": "x", "value": "1"}]}, {"a": [{"name": "x", "value": "2"}]}),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}),
        ({"a": [{"name": "x"}]}, {}),
        ({"a": False}, {"a": True}),
        ({"a": 0}, {"a": 1}),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}),
        ({"requests": {"cpu": "1"}}, {"requests": {}}),
    ],
)
def test_a_changed_or_missing_value_is_drift(wanted: dict[str, Any], live: dict[str, Any]) -> None:
    assert has_drifted(wanted, live)


def test_items_and_keys_that_others_added_are_found_the_last_first() -> None:
    wanted: dict[str, Any] = {
        "spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}]},
        "data": {"k": "v"},
    }
    live = copy.deepcopy(wanted)
    live["spec"]["containers"][0]["env"] += [{"name": "Y"}, {"name": "Z"}]
    live["spec"]["containers"].append({"name": "b"})
    live["data"]["extra"] = "v"
    assert list(foreign_paths(wanted, live)) == [
        ("spec", "containers", 1),
        ("spec", "containers", 0, "env", 2),
        ("spec", "containers", 0, "env", 1),
        ("data", "extra"),
    ]


def test_what_others_add_elsewhere_is_theirs() -> None:
    wanted = {"spec": {"template": {"metadata": {"annotations": {"a": "1"}}}}}
    live = {"spec": {"template": {"metadata": {"annotations": {"a": "1", "restartedAt": "now"}}}}}
    assert not list(foreign_paths(wanted, live))


def test_a_removal_is_of_that_very_version() -> None:
    live = {"metadata": {"resourceVersion": "7"}}
    assert removal([("data", "a/b~c")], live) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "remove", "path": "/data/a~1b~0c"},
    ]


def test_the_hash_changes_with_the_manifest_and_with_nothing_else() -> None:
    one, other = (
        with_hash({"metadata": {"name": "a"}, "b": 1}),
        with_hash({"b": 1, "metadata": {"name": "a"}}),
    )
    changed = with_hash({"metadata": {"name": "a"}, "b": 2})
    hashes = [manifest["metadata"]["annotations"][HASH_ANNOTATION] for manifest in (one, other, changed)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_manifest_itself_is_left_alone() -> None:
    manifest = {"metadata": {"name": "a", "annotations": {"x": "y"}}}
    assert with_hash(manifest)["metadata"]["annotations"]["x"] == "y"
    assert manifest == {"metadata": {"name": "a", "annotations": {"x": "y"}}}
