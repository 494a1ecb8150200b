"""The seam: what the operator asks of the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from chatstream_operator.kube.kinds import Kind, Object

FIELD_MANAGER = "chatstream-operator"
EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects at one resource version, from which a watch goes on."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change; of a BOOKMARK, only the resource version is of use."""

    type: EventType
    object: Object


class Kube(Protocol):
    """Every method ends within the request timeout, and raises kinds of errors.KubeError only."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Raises NotFound."""

    async def list(self, kind: Kind, *, selector: str | None = None) -> Listing:
        """Objects of all namespaces, with apiVersion and kind filled in."""

    def watch(
        self, kind: Kind, *, resource_version: str, selector: str | None = None
    ) -> AsyncIterator[WatchEvent]:
        """Changes after resource_version; ends when the server ends it. Raises Gone where it is too old."""

    async def apply(self, obj: Object) -> Object:
        """Server-side apply, taking fields over by force. Gives the object as it is now.

        Raises Conflict where obj has a resource version that is not the object's.
        """

    async def apply_status(self, obj: Object) -> Object:
        """Server-side apply of the status subresource. Raises NotFound."""

    async def create(self, obj: Object) -> Object:
        """Raises Conflict where the name is taken."""

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Any]) -> Object:
        """JSON patch. Raises NotFound, and Refused where a test operation fails."""

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Deletes that very object; it is no error if it is gone. Raises Conflict where uid is another's."""
