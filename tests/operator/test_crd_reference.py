"""docs/resource.md is what the CRD says."""

from __future__ import annotations

import re

from chatstream_operator.status import problems
from tests.operator.crd_schema import load_crd, spec_schema, walk
from tests.operator.samples import ROOT
from tools.crd_reference import build_page

OPERATOR_PAGE = (ROOT / "docs" / "operator.md").read_text()


def test_every_field_is_on_the_page() -> None:
    page = build_page(load_crd())
    for path, _ in walk(spec_schema()):
        assert path.endswith("[]") or f"| `spec.{path}` |" in page


def test_a_field_has_its_bounds_and_default() -> None:
    page = build_page(load_crd())
    assert "| `spec.replicas` | integer, at least 0, at most 100 | `1` |" in page
    assert "| `spec.chat.topP` | number, above 0, at most 1 |" in page
    assert '| `spec.drain.timeout` | duration, 1s to 1h | `"300s"` |' in page
    assert "| `spec.model.id` | string | required |" in page


def test_every_reason_of_a_pods_problem_is_explained() -> None:
    for reason in problems._ORDER:
        assert re.search(rf"`{reason}`", OPERATOR_PAGE), reason
