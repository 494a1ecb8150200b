"""Where a turn's conversation comes from and goes to: the session, or whatever an application brings."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from starlette.requests import Request

from chatstream.errors import (
    SessionDataInvalid,
    SessionMiddlewareMissing,
    SessionStoreUnavailable,
    TurnInProgress,
)
from chatstream.logs import get_logger
from chatstream.metrics import Metrics
from chatstream.prompts import ChatPrompt
from fastersession import InvalidSessionData, LeaseHeld, Session, SessionError, register_type

log = get_logger(__name__)

SESSION_KEY = "chat_prompt"
TRY_AGAIN = 5.0
"""Seconds: the longest advice while another turn of the session runs; its lease may be far longer."""


class History(ABC):
    """One turn's access to its conversation. Every turn that called `load` ends in `save` or `release`."""

    insecure_cookie: bool = False
    """The session's cookie will not come back: the client is told."""
    previous_ended: bool = False
    """Whether `load` found that the client had a conversation that is no more: it is told so."""

    @abstractmethod
    async def load(self, lease_seconds: float) -> ChatPrompt | None:
        """The conversation so far, None for none; no other turn may load it until the end of this one.

        Raises TurnInProgress where another one has it, SessionStoreUnavailable where nobody knows,
        SessionDataInvalid where it cannot be read.
        """

    @abstractmethod
    async def save(self, prompt: ChatPrompt) -> None:
        """Keep `prompt` and give the conversation free. May raise anything: the client is warned then."""

    @abstractmethod
    async def release(self) -> None:
        """Give the conversation free, unchanged. Idempotent."""


class SessionHistory(History):
    """The conversation in the browser's session: one read with the lease, one write that gives it back."""

    def __init__(self, session: Session, metrics: Metrics) -> None:
        self._session = session
        self._metrics = metrics
        self.insecure_cookie = session.plain_http_with_secure_cookie

    async def load(self, lease_seconds: float) -> ChatPrompt | None:
        try:
            with self._measured("load"):
                await self._session.load(lease_seconds=lease_seconds)
        except LeaseHeld as error:
            raise TurnInProgress(
                "Another turn of this session is running.", min(error.retry_after, TRY_AGAIN)
            ) from None
        except InvalidSessionData as error:
            raise _unreadable(str(error)) from error
        except SessionError as error:
            # The cause names hosts: it is for the log and for /status, not for clients.
            log.warning("session not loaded", error=str(error))
            raise SessionStoreUnavailable("The session store cannot be reached.", TRY_AGAIN) from error
        stored = self._session.get_session().get(SESSION_KEY)
        if not isinstance(stored, ChatPrompt | None):
            raise _unreadable(f"{SESSION_KEY!r} holds a {type(stored).__name__}, not a ChatPrompt")
        return stored

    async def save(self, prompt: ChatPrompt) -> None:
        self._session.get_session()[SESSION_KEY] = prompt
        try:
            with self._measured("save"):
                await self._session.save()
        except SessionError as error:
            raise SessionStoreUnavailable(f"The session cannot be saved: {error}") from error

    async def release(self) -> None:
        await self._session.release()

    @contextmanager
    def _measured(self, operation: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        except LeaseHeld:
            raise
        except SessionError:
            self._metrics.session_store_errors.inc()
            raise
        finally:
            self._metrics.session_store.labels(operation).observe(perf_counter() - started)


def _unreadable(cause: str) -> SessionDataInvalid:
    """What is stored stays as it is, for a release that can read it."""
    log.error("session data cannot be read", error=cause)
    return SessionDataInvalid("The conversation that is stored for this session cannot be read.")


def session_history(request: Request, metrics: Metrics) -> History:
    """The default history. Raises SessionMiddlewareMissing."""
    session = getattr(request.state, "session", None)
    if not isinstance(session, Session):
        raise SessionMiddlewareMissing(
            "No session: add FasterSessionMiddleware to the application, or give ChatStream a `history`."
        )
    return SessionHistory(session, metrics)


register_type(ChatPrompt, "chatstream.ChatPrompt", ChatPrompt.to_json, ChatPrompt.from_json)
