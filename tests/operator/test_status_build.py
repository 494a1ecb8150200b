"""The whole status: what it holds, when its times change, and what is said of a resource that cannot be."""

from __future__ import annotations

from typing import Any

from chatstream_operator.status import build_invalid_status, build_status, build_status_patch
from chatstream_operator.status.observation import Observation
from tests.operator.crd_schema import Node, root_schema
from tests.operator.samples import KEY, demo, raw_chatstream, tgi
from tests.operator.test_status_conditions import GOOD

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def status_of(seen: Observation, *, before: dict[str, Any] | None = None, now: str = EARLY) -> dict[str, Any]:
    return build_status(demo(), seen, before=before or {}, now=now, image="engine:1", selector="a=b")


def times(status: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["lastTransitionTime"] for one in status["conditions"]}


def test_it_holds_what_the_columns_and_the_scale_need() -> None:
    status = status_of(GOOD)
    status.pop("conditions")
    assert status == {
        "observedGeneration": 1,
        "replicas": 1,
        "readyReplicas": 1,
        "selector": "a=b",
        "url": "http://demo.team.svc",
        "model": "demo",
        "gpu": 0,
        "image": "engine:1",
    }


def test_every_condition_speaks_of_the_generation_that_was_seen() -> None:
    assert {one["observedGeneration"] for one in status_of(GOOD)["conditions"]} == {1}


def test_the_same_observation_gives_the_same_status() -> None:
    before = status_of(GOOD)
    assert status_of(GOOD, before=before, now=LATE) == before


def test_the_time_changes_with_the_status_only() -> None:
    before = status_of(Observation())
    after = status_of(GOOD, before=before, now=LATE)
    assert times(after)["Ready"] == LATE
    assert times(after)["Reconciled"] == EARLY


def test_an_invalid_resource_says_so_and_keeps_what_was_known() -> None:
    raw = {**raw_chatstream(generation=2), "status": status_of(GOOD)}
    status = build_invalid_status(raw, "spec.engine.env[PORT]: remove it", now=LATE)
    shown = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    assert shown.pop("Ready") == ("False", "InvalidSpec")
    assert shown.pop("Reconciled") == ("False", "InvalidSpec")
    assert set(shown.values()) == {("Unknown", "InvalidSpec")}
    assert "spec.engine.env[PORT]" in status["conditions"][0]["message"]
    assert (status["observedGeneration"], status["url"]) == (2, "http://demo.team.svc")


def test_an_invalid_resource_may_be_a_new_one() -> None:
    status = build_invalid_status(raw_chatstream(), "x", now=EARLY)
    assert [one["type"] for one in status["conditions"]] == ["Ready", "Reconciled"]


def test_a_long_message_is_cut() -> None:
    status = build_invalid_status(raw_chatstream(), "x" * 100_000, now=EARLY)
    assert len(status["conditions"][0]["message"]) == 4096


def test_the_patch_names_the_resource_and_holds_the_status_only() -> None:
    patch = build_status_patch(KEY, {"replicas": 1})
    assert patch["metadata"] == {"name": "demo", "namespace": "team"}
    assert patch["status"] == {"replicas": 1}
    assert "spec" not in patch


def test_every_field_that_is_written_is_in_the_crd() -> None:
    schema: Node = root_schema()["properties"]["status"]["properties"]
    status = build_status(tgi(), GOOD, before={}, now=EARLY, image="i", selector="s")
    assert set(status) == set(schema)
    assert set(status["conditions"][0]) == set(schema["conditions"]["items"]["properties"])
