"""The CRD's file: what kubectl shows of it, and that it can be applied from the client's side too."""

from __future__ import annotations

import pytest

from tests.operator.crd_schema import Node, load_crd, root_schema, walk
from tests.operator.samples import CRD

# kubectl apply keeps the whole file in an annotation, and annotations end there.
LARGEST = 262_144
NODES = dict(walk(root_schema()))
RULES = [
    (path, rule)
    for path, node in {"": root_schema(), **NODES}.items()
    for rule in node.get("x-kubernetes-validations", ())
]


def version() -> Node:
    found: Node = load_crd()["spec"]["versions"][0]
    return found


def test_it_is_small_enough_to_be_applied() -> None:
    assert len(CRD.read_bytes()) < LARGEST // 4


# The API server allows nothing but a type here.
@pytest.mark.parametrize("path", [path for path in NODES if path != "metadata"])
def test_every_field_has_a_description_that_is_a_sentence(path: str) -> None:
    text = NODES[path]["description"]
    assert text[0].isupper() or text[0].isdigit()
    assert text.endswith(".")


def test_the_names_are_those_that_users_type() -> None:
    names = load_crd()["spec"]["names"]
    assert (names["kind"], names["plural"], names["shortNames"]) == ("ChatStream", "chatstreams", ["chst"])


def test_the_columns_are_in_order() -> None:
    columns = version()["additionalPrinterColumns"]
    plain = [column["name"].upper() for column in columns if not column.get("priority")]
    wide = [column["name"].upper() for column in columns if column.get("priority")]
    assert plain == ["READY", "REASON", "MODEL", "REPLICAS", "URL", "AGE"]
    assert wide == ["ENGINE", "GPU", "IMAGE"]


def test_status_and_scale_are_subresources() -> None:
    assert version()["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


@pytest.mark.parametrize(("path", "rule"), RULES)
def test_every_rule_says_what_to_do(path: str, rule: Node) -> None:
    message = rule["message"]
    remedies = ("set ", "such as", "choose", "use ", "lower ", "keep ", "remove ", "name a model")
    assert any(word in message for word in remedies), f"{path}: {message}"


def test_conditions_are_a_map_so_that_each_has_one_writer() -> None:
    node = NODES["status.conditions"]
    assert (node["x-kubernetes-list-type"], node["x-kubernetes-list-map-keys"]) == ("map", ["type"])
