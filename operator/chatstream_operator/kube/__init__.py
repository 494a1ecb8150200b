"""The seam to the API server: a Protocol, its real client, and the cache that watches fill."""

from chatstream_operator.kube.cache import ChildCache, Owner
from chatstream_operator.kube.kinds import Kind, Object, kind_of
from chatstream_operator.kube.protocol import FIELD_MANAGER, Kube, Listing, WatchEvent

__all__ = [
    "FIELD_MANAGER",
    "ChildCache",
    "Kind",
    "Kube",
    "Listing",
    "Object",
    "Owner",
    "WatchEvent",
    "kind_of",
]
