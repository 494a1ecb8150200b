"""Whole manifests, compared whole."""

from __future__ import annotations

import pytest

from tests.operator.golden_files import RESOURCES, build_golden, read_golden


@pytest.mark.parametrize("name", RESOURCES)
def test_all_children_are_as_reviewed(name: str) -> None:
    built = {(one["kind"], one["metadata"]["name"]): one for one in build_golden(RESOURCES[name])}
    golden = {(one["kind"], one["metadata"]["name"]): one for one in read_golden(name)}
    assert built.keys() == golden.keys()
    for key, manifest in built.items():
        assert manifest == golden[key], key
