"""The seam's real side: kubernetes.aio's client, spoken to by path, in plain dicts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from kubernetes.aio import client

from chatstream_operator.errors import NotFound, Unavailable
from chatstream_operator.kube.answers import error_of, retry_after
from chatstream_operator.kube.kinds import Kind, Object, kind_of
from chatstream_operator.kube.protocol import FIELD_MANAGER, Listing, WatchEvent
from chatstream_operator.kube.stream import parse_event

PAGE = 500
SILENCE_SECONDS = 90
"""Bookmarks come every minute: a watch that is silent for longer is dead."""
APPLY_TYPE = "application/apply-patch+yaml"
JSON_PATCH_TYPE = "application/json-patch+json"
_LOST = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    content: str = "application/json"


class KubeClient:
    """Implements protocol.Kube. Close it once, with aclose()."""

    def __init__(
        self, configuration: client.Configuration, *, request_timeout: float, watch_timeout: float
    ) -> None:
        self._api = client.ApiClient(configuration)
        self._api.user_agent = FIELD_MANAGER
        self._limit = aiohttp.ClientTimeout(total=request_timeout)
        self._watch_seconds = max(1, round(watch_timeout))

    async def aclose(self) -> None:
        await self._api.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return await self._call(_Request("GET", kind.path(namespace, name)))

    async def list(self, kind: Kind, *, selector: str | None = None) -> Listing:
        items: list[Object] = []
        query = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
        while True:
            page = await self._call(_Request("GET", kind.path(), query))
            for item in page.get("items") or []:
                items.append({**item, "apiVersion": kind.api_version, "kind": kind.kind})
            meta = page["metadata"]
            if not meta.get("continue"):
                return Listing(items=items, resource_version=meta["resourceVersion"])
            query["continue"] = meta["continue"]

    async def watch(
        self, kind: Kind, *, resource_version: str, selector: str | None = None
    ) -> AsyncIterator[WatchEvent]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(self._watch_seconds),
            **({"labelSelector": selector} if selector else {}),
        }
        total = self._watch_seconds + 30
        limit = aiohttp.ClientTimeout(total=total, sock_connect=10, sock_read=SILENCE_SECONDS)
        try:
            response = await self._send(_Request("GET", kind.path(), query), limit)
            try:
                async for line in response.content:
                    yield parse_event(line)
            finally:
                response.close()
        except (*_LOST, HttpProcessingError) as error:
            # The latter for a line that is longer than aiohttp's buffer: a list has no such limit.
            raise Unavailable(f"watch of {kind.plural} was lost: {error!r}") from error

    async def apply(self, obj: Object) -> Object:
        return await self._apply(obj, subresource=None)

    async def apply_status(self, obj: Object) -> Object:
        return await self._apply(obj, subresource="status")

    async def create(self, obj: Object) -> Object:
        path = kind_of(obj).path(obj["metadata"]["namespace"])
        return await self._call(_Request("POST", path, {"fieldManager": FIELD_MANAGER}, obj))

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Any]) -> Object:
        query = {"fieldManager": FIELD_MANAGER}
        path = kind.path(namespace, name)
        return await self._call(_Request("PATCH", path, query, list(operations), JSON_PATCH_TYPE))

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._call(_Request("DELETE", kind.path(namespace, name), body=body))
        except NotFound:
            return

    async def _apply(self, obj: Object, *, subresource: str | None) -> Object:
        meta = obj["metadata"]
        path = kind_of(obj).path(meta["namespace"], meta["name"], subresource)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._call(_Request("PATCH", path, query, obj, APPLY_TYPE))

    async def _call(self, request: _Request) -> Object:
        try:
            response = await self._send(request, self._limit)
            try:
                answer: Object = json.loads(await response.read())
            finally:
                response.release()
        except (*_LOST, ValueError) as error:
            raise Unavailable(f"{request.method} {request.path}: no answer: {error!r}") from error
        return answer

    async def _send(self, request: _Request, limit: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """The response, its body unread. Raises the KubeError of a failing status."""
        method, url, headers, body, _ = await self._api.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": "application/json", "Content-Type": request.content},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        answer = await self._api.call_api(
            method, url, header_params=headers, body=body, _request_timeout=limit
        )
        response: aiohttp.ClientResponse = answer.response
        if response.status >= 400:
            try:
                raise error_of(response.status, await response.read(), retry_after(response.headers))
            finally:
                response.release()
        return response
