"""Server-side sessions for ASGI applications: a signed id in the cookie, the data in any store."""

from fastersession.codec import register_type
from fastersession.encrypted import EncryptedStore
from fastersession.errors import (
    InvalidSessionData,
    LeaseHeld,
    SessionError,
    SessionNotLoaded,
    StoreBusy,
    StoreCertificateInvalid,
    StoreDenied,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    StoreTimeout,
    StoreUnavailable,
    StoreUnreachable,
    VersionConflict,
)
from fastersession.journal import Journal
from fastersession.keys import KeyRing
from fastersession.memory import MemoryStore
from fastersession.middleware import FasterSessionMiddleware
from fastersession.records import Append, Change, Lease, StoredSession, Tail, Window
from fastersession.redis import RedisStore
from fastersession.session import Session
from fastersession.store import SessionStore

__all__ = [
    "Append",
    "Change",
    "EncryptedStore",
    "FasterSessionMiddleware",
    "InvalidSessionData",
    "Journal",
    "KeyRing",
    "Lease",
    "LeaseHeld",
    "MemoryStore",
    "RedisStore",
    "Session",
    "SessionError",
    "SessionNotLoaded",
    "SessionStore",
    "StoreBusy",
    "StoreCertificateInvalid",
    "StoreDenied",
    "StoreFailed",
    "StoreFull",
    "StoreReadOnly",
    "StoreTimeout",
    "StoreUnavailable",
    "StoreUnreachable",
    "StoredSession",
    "Tail",
    "VersionConflict",
    "Window",
    "register_type",
]
