"""Does a live object still say what was applied? And what has somebody else added to it? All pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from chatstream_operator.manifests.names import HASH_ANNOTATION

CLOSED_MAPS = frozenset({"data", "selector"})
"""Maps in which nobody but us has business: a key too many is taken out."""
QUANTITY_MAPS = frozenset({"requests", "limits"})


def with_hash(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the hash of itself as an annotation."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    meta = dict(manifest["metadata"])
    meta["annotations"] = {**meta.get("annotations", {}), HASH_ANNOTATION: digest}
    return {**manifest, "metadata": meta}


def has_drifted(wanted: object, live: object, *, within: str = "") -> bool:
    """Whether something that is wanted is not so. What is not mentioned may be anything.

    The API server leaves out empty values, and writes quantities in its own way: both count as equal.
    """
    if isinstance(wanted, Mapping):
        there = live if isinstance(live, Mapping) else {}
        return any(_key_drifted(key, value, there, within) for key, value in wanted.items())
    if isinstance(wanted, list) and any(isinstance(item, Mapping) for item in wanted):
        others = live if isinstance(live, list) else []
        return any(all(has_drifted(item, other) for other in others) for item in wanted)
    if not wanted and not isinstance(wanted, int | float):
        return bool(live)
    return wanted != live


def foreign_paths(
    wanted: object, live: object, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Paths of list items and of keys in closed maps that are live and not wanted; last items first."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key, value in wanted.items():
            yield from foreign_paths(value, live.get(key), (*path, key))
        if path and path[-1] in CLOSED_MAPS:
            yield from ((*path, key) for key in live if key not in wanted)
    elif isinstance(wanted, list) and isinstance(live, list):
        yield from _foreign_items(wanted, live, path)


def removal(paths: Sequence[tuple[str | int, ...]], live: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A JSON patch that removes them from that very version of the object."""
    version = live["metadata"]["resourceVersion"]
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    return [test, *({"op": "remove", "path": _pointer(path)} for path in paths)]


def _key_drifted(key: str, value: object, there: Mapping[str, Any], within: str) -> bool:
    live = there.get(key)
    if isinstance(value, Mapping | list):
        return has_drifted(value, live, within=key)
    if within in QUANTITY_MAPS or key == "sizeLimit":
        return live is None or _amount(value) != _amount(live)
    return bool(value) if live is None else bool(value != live)


def _amount(quantity: object) -> Decimal:
    amount: Decimal = parse_quantity(str(quantity))  # type: ignore[no-untyped-call]
    return amount


def _foreign_items(
    wanted: list[Any], live: list[Any], path: tuple[str | int, ...]
) -> Iterator[tuple[str | int, ...]]:
    known = {_identity(item): item for item in wanted if isinstance(item, Mapping)}
    for index in reversed(range(len(live))):
        item = live[index]
        if not isinstance(item, Mapping):
            continue
        if _identity(item) in known:
            yield from foreign_paths(known[_identity(item)], item, (*path, index))
        else:
            yield (*path, index)


def _identity(item: Mapping[str, Any]) -> object:
    """What tells the items of a list apart, as the API server's own merge keys do."""
    for key in ("mountPath", "containerPort", "port", "uid", "name"):
        if key in item:
            return key, item[key]
    return json.dumps(item, sort_keys=True)


def _pointer(path: tuple[str | int, ...]) -> str:
    return "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
