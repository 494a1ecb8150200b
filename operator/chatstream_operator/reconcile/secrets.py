"""Secrets: ours, made once and read back; and whether those of the user are there."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable

import structlog

from chatstream_operator.errors import Conflict, NotFound
from chatstream_operator.kube import ChildCache, Kube, Object
from chatstream_operator.kube.kinds import SECRET
from chatstream_operator.manifests import Manifest
from chatstream_operator.reconcile.apply import check_owner
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
    """Makes our Secrets, and never rewrites what is in one."""

    def __init__(self, kube: Kube, cache: ChildCache) -> None:
        self._kube = kube
        self._cache = cache

    async def ensure(self, chatstream: ChatStream, build: Builder) -> Object:
        """The live Secret: found, or made now. Keys that were taken out of it by hand are made anew.

        Raises NameTaken where a Secret of that name is somebody else's.
        """
        fresh = build(chatstream, new_secret)
        live = await self._find(chatstream, fresh)
        if live is None:
            return await self._create(chatstream, fresh)
        check_owner(live, chatstream)
        there = live.get("data") or {}
        wanted = set(fresh["data"])
        if wanted <= set(there) and _is_labelled(fresh, live):
            return live
        # The parts of a Secret belong together (a password, and the file that holds it): all, or none.
        data = {key: there[key] for key in wanted} if wanted <= set(there) else fresh["data"]
        log.info("mend_secret", namespace=chatstream.namespace, name=fresh["metadata"]["name"])
        return await self._kube.apply({**fresh, "data": data})

    async def find_missing(self, chatstream: ChatStream) -> tuple[MissingSecret, ...]:
        """The user's Secrets that the spec refers to and that are not there."""
        found = [await self._check(chatstream, field, ref) for field, ref in _references(chatstream)]
        return tuple(missing for missing in found if missing)

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


def checksum(secret: Object) -> str:
    """Changes when the Secret's content does; tells nothing of it."""
    data = secret.get("data") or {}
    parts = (f"{key}={base64.b64decode(data[key]).hex()}" for key in sorted(data))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _references(chatstream: ChatStream) -> list[tuple[str, SecretKeyRef]]:
    model = chatstream.spec.model
    found = []
    if model and model.token_secret_ref:
        found.append(("spec.model.tokenSecretRef", model.token_secret_ref))
    if chatstream.redis_url_ref:
        found.append(("spec.sessions.redis.urlSecretRef", chatstream.redis_url_ref))
    return found


def _is_labelled(fresh: Manifest, live: Object) -> bool:
    labels = live["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in fresh["metadata"]["labels"].items())
