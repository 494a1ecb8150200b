"""A session as turns and routes use it: measured, its errors counted by reason and told in our words."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from chatstream.errors import SessionDataInvalid, SessionStoreUnavailable, TurnInProgress
from chatstream.logs import get_logger
from chatstream.metrics import Metrics
from chatstream.prompts import ChatPrompt
from fastersession import (
    InvalidSessionData,
    Journal,
    LeaseHeld,
    Session,
    SessionError,
    StoreUnavailable,
    VersionConflict,
    Window,
    register_type,
)

log = get_logger(__name__)

SESSION_KEY = "chat_prompt"
TRY_AGAIN = 5.0
"""Seconds: the longest advice while another turn of the session runs; its lease may be far longer."""


async def load_session(
    session: Session, metrics: Metrics, *, window: Window, lease_seconds: float | None = None
) -> None:
    """Read `window` of the session's journals; with `lease_seconds` for this request alone.

    Raises TurnInProgress where another one has it, SessionStoreUnavailable where nobody knows,
    SessionDataInvalid where it cannot be read.
    """
    with told(), measured(metrics, "load"):
        await session.load(lease_seconds=lease_seconds, window=window)


async def read_journal(session: Session, journal: Journal, metrics: Metrics) -> AsyncIterator[Any]:
    """All that is kept of a journal, oldest first. Raises as `load_session` does."""
    with told(), counted(metrics):
        async for entry in session.entries(journal):
            yield entry


def conversation_in(session: Session) -> ChatPrompt | None:
    """The conversation of a session that was loaded. Raises SessionDataInvalid."""
    stored = session.get_session().get(SESSION_KEY)
    if not isinstance(stored, ChatPrompt | None):
        raise unreadable(f"{SESSION_KEY!r} holds a {type(stored).__name__}, not a ChatPrompt")
    if stored is not None:
        with told():
            stored.get_contents()
    return stored


def unreadable(cause: str) -> SessionDataInvalid:
    """What is stored stays as it is, for a release that can read it."""
    log.error("session data cannot be read", error=cause)
    return SessionDataInvalid("The conversation that is stored for this session cannot be read.")


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of the session into one of ours; its cause, which names hosts, is for the log alone."""
    try:
        yield
    except LeaseHeld as error:
        raise TurnInProgress(
            "Another turn of this session is running.", min(error.retry_after, TRY_AGAIN)
        ) from None
    except InvalidSessionData as error:
        raise unreadable(str(error)) from error
    except SessionError as error:
        log.warning("session not loaded", error=str(error), reason=reason_of(error))
        raise SessionStoreUnavailable("The session store cannot be reached.", TRY_AGAIN) from error


@contextmanager
def measured(metrics: Metrics, operation: str) -> Iterator[None]:
    """Time an operation of the store, and count how it failed."""
    started = perf_counter()
    try:
        with counted(metrics):
            yield
    finally:
        metrics.session_store.labels(operation).observe(perf_counter() - started)


@contextmanager
def counted(metrics: Metrics) -> Iterator[None]:
    """Count how an operation of the store failed. A session that another turn has is no failure."""
    try:
        yield
    except LeaseHeld:
        raise
    except SessionError as error:
        metrics.session_store_errors.labels(reason_of(error)).inc()
        raise


def reason_of(error: SessionError) -> str:
    """One of the words in `metrics.STORE_ERRORS`."""
    match error:
        case StoreUnavailable():
            return error.reason
        case VersionConflict():
            return "conflict"
        case InvalidSessionData():
            return "invalid_data"
        case _:
            return "failed"


register_type(ChatPrompt, "chatstream.ChatPrompt", ChatPrompt.to_stored, ChatPrompt.from_json)
