"""What all sessions of one middleware share."""

from collections.abc import Callable
from dataclasses import dataclass

from fastersession.leases import LeaseReturner
from fastersession.records import DEFAULT_WINDOW, Window
from fastersession.store import SessionStore


@dataclass(frozen=True, slots=True)
class SessionContext:
    """Times in seconds; `clock` gives unix seconds."""

    store: SessionStore
    returner: LeaseReturner
    clock: Callable[[], float]
    io_timeout: float
    idle_timeout: float
    absolute_timeout: float
    unconfirmed_timeout: float = 4 * 3600
    window: Window = DEFAULT_WINDOW
