"""Secrets: ours, made once and read back; and whether those of the user are there."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping

import structlog

from chatstream_operator.errors import Conflict, NotFound, Refused
from chatstream_operator.kube import ChildCache, Kube, Object
from chatstream_operator.kube.kinds import SECRET
from chatstream_operator.manifests import Manifest, names
from chatstream_operator.reconcile.apply import check_owner, is_owned
from chatstream_operator.reconcile.drift import removal
from chatstream_operator.spec import ChatStream
from chatstream_operator.spec.model import SecretKeyRef
from chatstream_operator.status import MissingSecret

log = structlog.get_logger(__name__)
SECRET_BYTES = 32
Builder = Callable[[ChatStream, Callable[[], str]], Manifest]


def new_secret() -> str:
    """32 fresh random bytes, as text."""
    return secrets.token_urlsafe(SECRET_BYTES)


class SecretKeeper:
    """Makes our Secrets, and never rewrites what is in one: that is for reconcile.rotator alone."""

    def __init__(self, kube: Kube, cache: ChildCache) -> None:
        self._kube = kube
        self._cache = cache

    async def ensure(self, chatstream: ChatStream, build: Builder) -> Object:
        """The live Secret: found, or made now. Keys that were taken out of it by hand are made anew.

        One that was retained is taken up again. Raises NameTaken where it is somebody else's.
        """
        fresh = build(chatstream, new_secret)
        live = await self._find(chatstream, fresh)
        if live is None:
            return await self._create(chatstream, fresh)
        if not is_retained(live, chatstream):
            check_owner(live, chatstream)
        live = await self._mend(chatstream, fresh, live)
        if is_owned(live, chatstream) and "ownerReferences" not in fresh["metadata"]:
            return await self._disown(chatstream, live)
        return live

    async def find_missing(self, chatstream: ChatStream) -> tuple[MissingSecret, ...]:
        """The user's Secrets that the spec refers to and that are not there."""
        found = [await self._check(chatstream, field, ref) for field, ref in _references(chatstream)]
        return tuple(missing for missing in found if missing)

    async def _mend(self, chatstream: ChatStream, fresh: Manifest, live: Object) -> Object:
        """Data that is missing, labels, and the owner, where there is to be one."""
        there = live.get("data") or {}
        owned = is_owned(live, chatstream) or "ownerReferences" not in fresh["metadata"]
        if set(fresh["data"]) <= set(there) and _is_labelled(fresh, live) and owned:
            return live
        log.info("mend_secret", namespace=chatstream.namespace, name=fresh["metadata"]["name"])
        # Of that very version: keys that were rotated or changed meanwhile must not be set back.
        meta = {**fresh["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
        # Which request the first keys of all count as is of no account to keys that are there.
        meta.pop("annotations", None)
        data = _mended_data(fresh["data"], there)
        mended = await self._kube.apply({**fresh, "metadata": meta, "data": data})
        self._cache.update(SECRET, mended)
        return mended

    async def _disown(self, chatstream: ChatStream, live: Object) -> Object:
        """So that it stays when the ChatStream goes."""
        meta = live["metadata"]
        paths = [
            ("metadata", "ownerReferences", index)
            for index, reference in enumerate(meta["ownerReferences"])
            if reference["uid"] == chatstream.uid
        ]
        log.info("retain_secret", namespace=chatstream.namespace, name=meta["name"])
        try:
            operations = removal(paths, live)
            freed = await self._kube.patch(SECRET, chatstream.namespace, meta["name"], operations)
        except (NotFound, Refused) as error:
            # The cache was behind; the event that says so brings us here again.
            log.info("retain_secret_stale", name=meta["name"], error=str(error))
            return live
        self._cache.update(SECRET, freed)
        return freed

    async def _find(self, chatstream: ChatStream, fresh: Manifest) -> Object | None:
        name = fresh["metadata"]["name"]
        known = self._cache.get(SECRET, (chatstream.namespace, chatstream.name), name)
        if known is not None and "deletionTimestamp" not in known["metadata"]:
            return known
        try:
            return await self._kube.get(SECRET, chatstream.namespace, name)
        except NotFound:
            return None

    async def _create(self, chatstream: ChatStream, fresh: Manifest) -> Object:
        name = fresh["metadata"]["name"]
        log.info("create_secret", namespace=chatstream.namespace, name=name)
        try:
            live = await self._kube.create(fresh)
        except Conflict:
            live = await self._kube.get(SECRET, chatstream.namespace, name)
            if not is_retained(live, chatstream):
                check_owner(live, chatstream)
        self._cache.update(SECRET, live)
        return live

    async def _check(self, chatstream: ChatStream, field: str, ref: SecretKeyRef) -> MissingSecret | None:
        try:
            live = await self._kube.get(SECRET, chatstream.namespace, ref.name)
        except NotFound:
            return MissingSecret(field=field, name=ref.name, key=ref.key, whole=True)
        if (live.get("data") or {}).get(ref.key):
            return None
        return MissingSecret(field=field, name=ref.name, key=ref.key, whole=False)


def is_retained(live: Object, chatstream: ChatStream) -> bool:
    """One that we made, of a ChatStream of that name, and that was left without an owner."""
    labels = live["metadata"].get("labels") or {}
    ours = (labels.get(names.MANAGED_BY), labels.get(names.OWNER_NAME)) == (names.MANAGER, chatstream.name)
    return ours and not live["metadata"].get("ownerReferences")


def checksum(secret: Object, *, without: Collection[str] = ()) -> str:
    """Changes when the Secret's content does, but for some keys of it; tells nothing of it."""
    data = secret.get("data") or {}
    parts = (f"{key}={base64.b64decode(data[key]).hex()}" for key in sorted(data) if key not in without)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _references(chatstream: ChatStream) -> list[tuple[str, SecretKeyRef]]:
    model = chatstream.spec.model
    found = []
    if model and model.token_secret_ref:
        found.append(("spec.model.tokenSecretRef", model.token_secret_ref))
    if chatstream.redis_url_ref:
        found.append(("spec.sessions.redis.urlSecretRef", chatstream.redis_url_ref))
    if chatstream.redis_ca_ref:
        found.append(("spec.sessions.redis.caSecretRef", chatstream.redis_ca_ref))
    return found


def _mended_data(fresh: Mapping[str, str], there: Mapping[str, str]) -> dict[str, str]:
    """What is there stays, also what is wanted no more: to leave out of it what was applied would delete it.

    But a password and the file that holds it belong together: both, or none.
    """
    if names.REDIS_CONF in fresh and not set(fresh) <= set(there):
        return {**there, **fresh}
    return {**fresh, **{key: value for key, value in there.items() if value}}


def _is_labelled(fresh: Manifest, live: Object) -> bool:
    labels = live["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in fresh["metadata"]["labels"].items())
