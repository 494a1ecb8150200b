"""The cache: what the watches have seen, by owner; never older than it was."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream_operator.kube.cache import ChildCache
from chatstream_operator.kube.kinds import POD, SERVICE

OWNER = ("team", "demo")


def obj(name: str, version: int = 1, owner: str | None = "demo") -> dict[str, Any]:
    labels = {"chatstream.dev/name": owner} if owner else {}
    return {
        "metadata": {"name": name, "namespace": "team", "labels": labels, "resourceVersion": str(version)}
    }


def test_objects_are_found_by_owner_and_name() -> None:
    cache = ChildCache()
    assert cache.update(SERVICE, obj("b")) == {OWNER}
    cache.update(SERVICE, obj("a"))
    assert [one["metadata"]["name"] for one in cache.of(SERVICE, OWNER)] == ["a", "b"]
    assert cache.get(SERVICE, OWNER, "a") == obj("a")
    assert cache.get(POD, OWNER, "a") is None
    assert cache.get(SERVICE, ("team", "other"), "a") is None


def test_an_older_object_does_not_replace_a_newer_one() -> None:
    cache = ChildCache()
    cache.update(SERVICE, obj("a", 10))
    cache.update(SERVICE, obj("a", 9))
    assert cache.get(SERVICE, OWNER, "a") == obj("a", 10)


def test_a_listing_is_the_whole_truth_and_touches_the_vanished_too() -> None:
    cache = ChildCache()
    cache.update(SERVICE, obj("a"))
    touched = cache.replace(SERVICE, [obj("b", owner="new")])
    assert touched == {OWNER, ("team", "new")}
    assert cache.get(SERVICE, OWNER, "a") is None


def test_what_is_removed_is_gone() -> None:
    cache = ChildCache()
    cache.update(SERVICE, obj("a"))
    assert cache.remove(SERVICE, obj("a")) == {OWNER}
    assert cache.of(SERVICE, OWNER) == []
    assert cache.remove(SERVICE, obj("a")) == {OWNER}


def test_an_object_of_nobody_is_not_kept() -> None:
    cache = ChildCache()
    assert cache.update(SERVICE, obj("a", owner=None)) == set()
    assert cache.remove(SERVICE, obj("a", owner=None)) == set()


@pytest.mark.parametrize("owner", ["other", None])
def test_an_object_whose_owners_label_was_changed_is_told_to_both_and_kept_once(owner: str | None) -> None:
    cache = ChildCache()
    cache.update(SERVICE, obj("a", 1))
    new = {("team", owner)} if owner else set()
    assert cache.update(SERVICE, obj("a", 2, owner)) == {OWNER} | new
    assert cache.of(SERVICE, OWNER) == []
    assert cache.update(SERVICE, obj("a", 3)) == {OWNER} | new
    assert cache.of(SERVICE, OWNER) == [obj("a", 3)]


def test_news_of_a_deletion_that_come_late_take_no_newer_one_out() -> None:
    cache = ChildCache()
    cache.update(SERVICE, obj("a", 10))
    assert cache.remove(SERVICE, obj("a", 9)) == {OWNER}
    assert cache.get(SERVICE, OWNER, "a") == obj("a", 10)
