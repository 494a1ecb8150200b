"""Children: applied where they are missing, changed or drifted; pruned where they are no longer wanted."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from chatstream_operator.errors import (
    ApplyFailed,
    CleaningUp,
    Conflict,
    Internal,
    NameTaken,
    NotFound,
    Refused,
)
from chatstream_operator.kube import ChildCache, Kube, Object, Owner, kind_of
from chatstream_operator.kube.kinds import CHILDREN, NETWORKPOLICY, SECRET, STATEFULSET
from chatstream_operator.manifests.plan import Manifest
from chatstream_operator.reconcile.drift import foreign_paths, has_drifted, removal, with_hash
from chatstream_operator.spec import KIND, ChatStream

log = structlog.get_logger(__name__)
Problems = list[ApplyFailed | NameTaken]
KEPT = frozenset({SECRET, STATEFULSET})
"""What others added to these stays."""
REPLACED = frozenset({NETWORKPOLICY})
"""To apply these replaces their lists; to take a changed rule out first would let nobody in for a moment."""


class Applier:
    """Effects on the children of one ChatStream at a time. Reads the cache, writes to the API server."""

    def __init__(self, kube: Kube, cache: ChildCache) -> None:
        self._kube = kube
        self._cache = cache

    async def apply_all(self, chatstream: ChatStream, manifests: Iterable[Manifest]) -> Problems:
        """Applies each that needs it. What the API server refuses is given back; the others go on."""
        failures: Problems = []
        for manifest in manifests:
            try:
                await self._apply(chatstream, with_hash(manifest))
            except NameTaken as error:
                failures.append(error)
            except (Refused, Conflict, Internal) as error:
                what = f"{manifest['kind']} {manifest['metadata']['name']}"
                failures.append(ApplyFailed(f"{what} was refused: {error}"))
        return failures

    async def prune(self, chatstream: ChatStream, wanted: Iterable[Manifest]) -> Problems:
        """Deletes children of ours that are not wanted: with our label, and owned by this very resource.

        What the API server refuses to delete is given back; the others go.
        """
        failures: Problems = []
        keep = {(kind_of(manifest), manifest["metadata"]["name"]) for manifest in wanted}
        owner = (chatstream.namespace, chatstream.name)
        for kind in CHILDREN:
            for obj in self._cache.of(kind, owner):
                meta = obj["metadata"]
                if (kind, meta["name"]) in keep or not is_owned(obj, chatstream) or _is_going(obj):
                    continue
                log.info("prune", kind=kind.kind, namespace=meta["namespace"], name=meta["name"])
                try:
                    await self._kube.delete(kind, meta["namespace"], meta["name"], uid=meta["uid"])
                except (Refused, Internal) as error:
                    what = f"{kind.kind} {meta['name']}"
                    failures.append(ApplyFailed(f"deleting {what} was refused: {error}"))
        return failures

    async def _apply(self, chatstream: ChatStream, manifest: Manifest) -> None:
        live = await self._live(chatstream, manifest)
        if live is not None:
            check_owner(live, chatstream)
        if live is None or _needs_apply(manifest, live):
            meta = manifest["metadata"]
            log.info("apply", kind=manifest["kind"], namespace=meta["namespace"], name=meta["name"])
            live = await self._kube.apply(manifest)
            self._cache.update(kind_of(manifest), live)
        await self._remove_foreign(manifest, live)

    async def _live(self, chatstream: ChatStream, manifest: Manifest) -> Object | None:
        """From the cache, else from the API server: so nothing that is a user's is taken over."""
        kind = kind_of(manifest)
        meta = manifest["metadata"]
        owner: Owner = (chatstream.namespace, chatstream.name)
        known = self._cache.get(kind, owner, meta["name"])
        if known is not None:
            return known
        try:
            return await self._kube.get(kind, meta["namespace"], meta["name"])
        except NotFound:
            return None

    async def _remove_foreign(self, manifest: Manifest, live: Object) -> None:
        """Takes out what others added by hand: server-side apply leaves what it does not own."""
        kind = kind_of(manifest)
        paths = _foreign(manifest, live)
        if not paths or kind in KEPT | REPLACED or _is_going(live):
            return
        meta = manifest["metadata"]
        log.info("remove_foreign", kind=kind.kind, name=meta["name"], paths=[list(path) for path in paths])
        operations = removal(paths, live)
        try:
            fresh = await self._kube.patch(kind, meta["namespace"], meta["name"], operations)
        except (NotFound, Refused) as error:
            # The cache was behind; the event that says so brings us here again.
            log.info("remove_foreign_stale", name=meta["name"], error=str(error))
            return
        self._cache.update(kind, fresh)


def is_owned(obj: Object, chatstream: ChatStream) -> bool:
    references = obj["metadata"].get("ownerReferences") or ()
    return any(reference.get("uid") == chatstream.uid for reference in references)


def check_owner(live: Object, chatstream: ChatStream) -> None:
    """Raises NameTaken where an object of that name is somebody else's."""
    if is_owned(live, chatstream):
        return
    references = live["metadata"].get("ownerReferences") or ()
    what = f"{live['kind']} {live['metadata']['name']}"
    if any((one["kind"], one["name"]) == (KIND, chatstream.name) for one in references):
        raise CleaningUp(f"{what} of the ChatStream that had this name before is still being deleted")
    owner = next((f"{one['kind']} {one['name']}" for one in references if one.get("controller")), "nobody")
    raise NameTaken(f"{what} is there already and belongs to {owner}: delete it, or rename this ChatStream")


def _needs_apply(manifest: Manifest, live: Object) -> bool:
    """The manifest holds its own hash, so what was taken out of it shows as drift too."""
    if _is_going(live):
        return False
    return has_drifted(manifest, live) or (kind_of(manifest) in REPLACED and bool(_foreign(manifest, live)))


def _foreign(manifest: Manifest, live: Object) -> list[tuple[str | int, ...]]:
    return [
        path
        for part in ("spec", "data")
        for path in foreign_paths(manifest.get(part), live.get(part), (part,))
    ]


def _is_going(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]
