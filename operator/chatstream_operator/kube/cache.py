"""What the watches have seen of the children: the reconciler reads here, and asks the API server little."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from chatstream_operator.kube.kinds import Kind, Object

OWNER_LABEL = "chatstream.dev/name"
Owner = tuple[str, str]
"""Namespace and name of a ChatStream."""


def owner_of(obj: Object) -> Owner | None:
    """The ChatStream that an object's label names."""
    meta = obj["metadata"]
    name = (meta.get("labels") or {}).get(OWNER_LABEL)
    return (meta["namespace"], name) if name else None


class ChildCache:
    """Objects by kind and owner. Objects in it are never changed, only replaced."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Owner, dict[str, Object]]] = defaultdict(dict)

    def get(self, kind: Kind, owner: Owner, name: str) -> Object | None:
        return self._objects[kind].get(owner, {}).get(name)

    def of(self, kind: Kind, owner: Owner) -> list[Object]:
        """All objects of a kind and an owner, in the order of their names."""
        objects = self._objects[kind].get(owner, {})
        return [objects[name] for name in sorted(objects)]

    def replace(self, kind: Kind, objects: Iterable[Object]) -> set[Owner]:
        """Takes a whole listing for the truth. Gives the owners that had or have such objects."""
        touched = set(self._objects[kind])
        self._objects[kind] = {}
        for obj in objects:
            if owner := self._put(kind, obj):
                touched.add(owner)
        return touched

    def update(self, kind: Kind, obj: Object) -> Owner | None:
        """Puts an object in, unless a newer one is there. Gives its owner."""
        owner = owner_of(obj)
        known = self.get(kind, owner, obj["metadata"]["name"]) if owner else None
        if known is not None and _version(known) > _version(obj):
            return owner
        return self._put(kind, obj)

    def remove(self, kind: Kind, obj: Object) -> Owner | None:
        """Takes an object out. Gives its owner."""
        owner = owner_of(obj)
        if owner is not None and (objects := self._objects[kind].get(owner)):
            objects.pop(obj["metadata"]["name"], None)
            if not objects:
                del self._objects[kind][owner]
        return owner

    def _put(self, kind: Kind, obj: Object) -> Owner | None:
        owner = owner_of(obj)
        if owner is not None:
            self._objects[kind].setdefault(owner, {})[obj["metadata"]["name"]] = obj
        return owner


def _version(obj: Object) -> int:
    # Since Kubernetes 1.35 resource versions are promised to compare as numbers; they did before.
    version = obj["metadata"].get("resourceVersion", "0")
    return int(version) if version.isdigit() else 0
