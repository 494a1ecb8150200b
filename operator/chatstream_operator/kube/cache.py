"""What the watches have seen of the children: the reconciler reads here, and asks the API server little."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from chatstream_operator.kube.kinds import Kind, Object

OWNER_LABEL = "chatstream.dev/name"
Owner = tuple[str, str]
"""Namespace and name of a ChatStream."""
Place = tuple[str, str]
"""Namespace and name of an object."""


def owner_of(obj: Object) -> Owner | None:
    """The ChatStream that an object's label names."""
    meta = obj["metadata"]
    name = (meta.get("labels") or {}).get(OWNER_LABEL)
    return (meta["namespace"], name) if name else None


class ChildCache:
    """Objects by kind and owner. Objects in it are never changed, only replaced."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Owner, dict[str, Object]]] = defaultdict(dict)
        self._owners: dict[Kind, dict[Place, Owner]] = defaultdict(dict)

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
        self._owners[kind] = {}
        for obj in objects:
            touched |= self._put(kind, obj)
        return touched

    def update(self, kind: Kind, obj: Object) -> set[Owner]:
        """Puts an object in, unless a newer one is there. Gives its owner, and the one that it had before."""
        return self._owners_of(kind, obj) if self._has_newer(kind, obj) else self._put(kind, obj)

    def remove(self, kind: Kind, obj: Object) -> set[Owner]:
        """Takes an object out, unless a newer one of that name is there. Gives its owner, as update()."""
        owners = self._owners_of(kind, obj)
        if not self._has_newer(kind, obj):
            self._drop(kind, obj)
        return owners

    def _put(self, kind: Kind, obj: Object) -> set[Owner]:
        owners = self._owners_of(kind, obj)
        self._drop(kind, obj)
        if (owner := owner_of(obj)) is not None:
            self._owners[kind][_place(obj)] = owner
            self._objects[kind].setdefault(owner, {})[obj["metadata"]["name"]] = obj
        return owners

    def _drop(self, kind: Kind, obj: Object) -> None:
        owner = self._owners[kind].pop(_place(obj), None)
        if owner is None:
            return
        objects = self._objects[kind][owner]
        del objects[obj["metadata"]["name"]]
        if not objects:
            del self._objects[kind][owner]

    def _owners_of(self, kind: Kind, obj: Object) -> set[Owner]:
        both = owner_of(obj), self._owners[kind].get(_place(obj))
        return {owner for owner in both if owner is not None}

    def _has_newer(self, kind: Kind, obj: Object) -> bool:
        owner = self._owners[kind].get(_place(obj))
        known = self.get(kind, owner, obj["metadata"]["name"]) if owner else None
        return known is not None and _version(known) > _version(obj)


def _place(obj: Object) -> Place:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _version(obj: Object) -> int:
    # Since Kubernetes 1.35 resource versions are promised to compare as numbers; they did before.
    version = obj["metadata"].get("resourceVersion", "0")
    return int(version) if version.isdigit() else 0
