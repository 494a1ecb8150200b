"""The errors of fastersession.

SessionError
├── StoreUnavailable      the store cannot be reached or did not answer in time
├── VersionConflict       somebody else changed, took over or deleted the session meanwhile
├── LeaseHeld             another request works on this session; `retry_after` seconds
├── SessionNotLoaded      the attributes were asked for before `load()`
└── InvalidSessionData    what shall be stored is no JSON, or what was stored cannot be read
"""


class SessionError(Exception):
    """Root of everything that this package raises on purpose."""


class StoreUnavailable(SessionError):
    """The store gave no answer; whether it did what was asked is unknown. The text names the cause."""


class VersionConflict(SessionError):
    """The record is not the one that was read: changed, deleted or leased by somebody else since."""


class LeaseHeld(SessionError):
    """Another owner holds the session's lease, for `retry_after` more seconds at most."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"another request works on this session (its lease ends in {retry_after:.1f} s)")
        self.retry_after = retry_after


class SessionNotLoaded(SessionError):
    """`get_session()` was called before `load()` was awaited (the middleware has autoload=False)."""


class InvalidSessionData(SessionError):
    """An attribute that is neither JSON nor of a registered type, or a stored record that cannot be read."""
