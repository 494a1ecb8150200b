"""The seam's in-memory side: an API server in a dict, for tests and for trying things out.

It keeps resource versions, generations, uids and owners of applied fields; it has no schemas and no
controllers. Faults are put in by the test.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

from chatstream_operator.errors import Conflict, KubeError, NotFound, Refused
from chatstream_operator.kube.kinds import Kind, Object, kind_of
from chatstream_operator.kube.protocol import EventType, Listing, WatchEvent

Place = tuple[Kind, str, str]


class MemoryKube:
    """Implements protocol.Kube. requests: what was asked, as (method, kind, name)."""

    def __init__(self) -> None:
        self.objects: dict[Place, Object] = {}
        self.requests: list[tuple[str, str, str]] = []
        self._applied: dict[Place, Object] = {}
        self._faults: dict[tuple[str, str], list[KubeError]] = defaultdict(list)
        self._versions = itertools.count(1)
        self._log: list[tuple[int, Kind, WatchEvent]] = []
        self._news = asyncio.Condition()

    def fail(self, method: str, kind: Kind, *errors: KubeError) -> None:
        """The next requests of that method and kind raise these, one each."""
        self._faults[method, kind.kind].extend(errors)

    def writes(self) -> list[tuple[str, str, str]]:
        """The requests that change something."""
        return [request for request in self.requests if request[0] not in {"get", "list", "watch"}]

    def put(self, obj: Object) -> Object:
        """As somebody else would write it: as it stands, with a new version."""
        kind = kind_of(obj)
        meta = obj["metadata"]
        place = (kind, meta["namespace"], meta["name"])
        known = self.objects.get(place)
        fresh = copy.deepcopy(obj)
        fresh["metadata"]["uid"] = (
            known["metadata"]["uid"] if known else meta.get("uid", f"uid-{next(self._versions)}")
        )
        changed = known is None or known.get("spec") != fresh.get("spec")
        generation = known["metadata"]["generation"] if known else 0
        fresh["metadata"]["generation"] = generation + 1 if changed else generation
        self._store(place, fresh, "MODIFIED" if known else "ADDED")
        return copy.deepcopy(fresh)

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """As somebody else would delete it."""
        obj = self.objects.pop((kind, namespace, name))
        self._applied.pop((kind, namespace, name), None)
        self._tell(kind, "DELETED", obj)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        self._note("get", kind, name)
        return copy.deepcopy(self._find((kind, namespace, name)))

    async def list(self, kind: Kind, *, selector: str | None = None) -> Listing:
        self._note("list", kind, "")
        found = [obj for place, obj in sorted(self.objects.items(), key=_by_name) if place[0] == kind]
        items = [copy.deepcopy(obj) for obj in found if _selects(selector, obj)]
        return Listing(items=items, resource_version=str(self._version()))

    async def watch(
        self, kind: Kind, *, resource_version: str, selector: str | None = None
    ) -> AsyncIterator[WatchEvent]:
        self._note("watch", kind, "")
        seen = int(resource_version)
        while True:
            for version, of, event in list(self._log):
                if version > seen and of == kind and _selects(selector, event.object):
                    yield event
                seen = max(seen, version)
            self._raise_fault("watch", kind)
            async with self._news:
                await self._news.wait()

    async def nudge(self) -> None:
        """Lets the watches look for news."""
        async with self._news:
            self._news.notify_all()

    async def apply(self, obj: Object) -> Object:
        return self._apply("apply", obj)

    async def apply_status(self, obj: Object) -> Object:
        self._note("apply_status", kind_of(obj), obj["metadata"]["name"])
        place = (kind_of(obj), obj["metadata"]["namespace"], obj["metadata"]["name"])
        fresh = {**self._find(place), "status": copy.deepcopy(obj["status"])}
        self._store(place, fresh, "MODIFIED")
        return copy.deepcopy(fresh)

    async def create(self, obj: Object) -> Object:
        meta = obj["metadata"]
        self._note("create", kind_of(obj), meta["name"])
        if (kind_of(obj), meta["namespace"], meta["name"]) in self.objects:
            raise Conflict(f"{meta['name']} already exists", status=409)
        return self.put(obj)

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Any]) -> Object:
        self._note("patch", kind, name)
        fresh = copy.deepcopy(self._find((kind, namespace, name)))
        for operation in operations:
            _operate(fresh, operation)
        return self.put(fresh)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        self._note("delete", kind, name)
        known = self.objects.get((kind, namespace, name))
        if known is None:
            return
        if known["metadata"]["uid"] != uid:
            raise Conflict("the uid is another's", status=409)
        self.remove(kind, namespace, name)

    def _apply(self, method: str, obj: Object) -> Object:
        kind = kind_of(obj)
        place = (kind, obj["metadata"]["namespace"], obj["metadata"]["name"])
        self._note(method, kind, place[2])
        live = self.objects.get(place, {"metadata": {}})
        obj = copy.deepcopy(obj)
        version = obj["metadata"].pop("resourceVersion", None)
        if version not in (None, live["metadata"].get("resourceVersion")):
            raise Conflict(f"{place[2]}: the object has been modified", status=409)
        merged = _merge(copy.deepcopy(live), obj, self._applied.get(place, {}))
        self._applied[place] = obj
        return self.put(merged)

    def _find(self, place: Place) -> Object:
        if place not in self.objects:
            raise NotFound(f"{place[0].plural} {place[2]!r} not found", status=404)
        return self.objects[place]

    def _store(self, place: Place, obj: Object, event: EventType) -> None:
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[place] = obj
        self._tell(place[0], event, obj)

    def _tell(self, kind: Kind, event: EventType, obj: Object) -> None:
        version = next(self._versions)
        told = copy.deepcopy(obj)
        told["metadata"]["resourceVersion"] = (
            str(version) if event == "DELETED" else obj["metadata"]["resourceVersion"]
        )
        self._log.append((version, kind, WatchEvent(event, told)))

    def _version(self) -> int:
        return self._log[-1][0] if self._log else 0

    def _note(self, method: str, kind: Kind, name: str) -> None:
        self.requests.append((method, kind.kind, name))
        if method != "watch":
            self._raise_fault(method, kind)

    def _raise_fault(self, method: str, kind: Kind) -> None:
        faults = self._faults[method, kind.kind]
        if faults:
            raise faults.pop(0)


def _by_name(item: tuple[Place, Object]) -> tuple[str, str, str]:
    (kind, namespace, name), _ = item
    return kind.kind, namespace, name


def _selects(selector: str | None, obj: Object) -> bool:
    """Selectors of one `key=value` only."""
    if selector is None:
        return True
    key, _, value = selector.partition("=")
    return (obj["metadata"].get("labels") or {}).get(key) == value


def _merge(live: Any, wanted: Any, before: Any) -> Any:  # noqa: ANN401 -- JSON
    """wanted over live; what was applied before and is no longer wanted goes."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        old = before if isinstance(before, dict) else {}
        kept = {key: value for key, value in live.items() if key in wanted or key not in old}
        merged = {key: _merge(live.get(key), value, old.get(key)) for key, value in wanted.items()}
        return {**kept, **merged}
    if _is_map_list(wanted) and _is_map_list(live):
        return _merge_lists(live, wanted, before if isinstance(before, list) else [])
    return copy.deepcopy(wanted)


def _merge_lists(live: list[Any], wanted: list[Any], before: list[Any]) -> list[Any]:
    there = {item["name"]: item for item in live}
    old = {item["name"]: item for item in before}
    names = {item["name"] for item in wanted}
    foreign = [item for item in live if item["name"] not in names and item["name"] not in old]
    merged = [_merge(there.get(item["name"]), item, old.get(item["name"])) for item in wanted]
    return [*merged, *foreign]


def _is_map_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value)


def _operate(obj: Object, operation: dict[str, Any]) -> None:
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    parent: Any = obj
    for part in path:
        parent = parent[int(part)] if isinstance(parent, list) else parent[part]
    key: Any = int(last) if isinstance(parent, list) else last
    if operation["op"] == "test" and parent[key] != operation["value"]:
        raise Refused("testing of a value failed", status=422)
    if operation["op"] == "remove":
        del parent[key]
    if operation["op"] == "add":
        parent[key] = copy.deepcopy(operation["value"])
