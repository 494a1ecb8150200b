"""Where a turn's conversation comes from and goes to: the session, or whatever an application brings."""

from abc import ABC, abstractmethod

from starlette.requests import Request

from chatstream.errors import SessionMiddlewareMissing, SessionStoreUnavailable
from chatstream.metrics import Metrics
from chatstream.prompts import ChatPrompt
from chatstream.turns.session_access import SESSION_KEY, conversation_in, load_session, measured
from fastersession import Session, SessionError, Window


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


WIDER = 16
"""Times the window, where the last turn is not in it: 128 bytes a token, as only blanks and lines have."""


class SessionHistory(History):
    """The conversation in the browser's session: one read with the lease, one write that gives it back."""

    def __init__(self, session: Session, metrics: Metrics, window: Window) -> None:
        self._session = session
        self._metrics = metrics
        self._window = window
        self.insecure_cookie = session.plain_http_with_secure_cookie

    async def load(self, lease_seconds: float) -> ChatPrompt | None:
        session, window = self._session, self._window
        await load_session(session, self._metrics, window=window, lease_seconds=lease_seconds)
        prompt = conversation_in(session)
        if prompt is not None and prompt.journal.skipped and not prompt.turns:
            await load_session(session, self._metrics, window=Window(window.entries, WIDER * window.bytes))
            prompt = conversation_in(session)
        self.previous_ended = session.previous_ended
        return prompt

    async def save(self, prompt: ChatPrompt) -> None:
        self._session.get_session()[SESSION_KEY] = prompt
        try:
            with measured(self._metrics, "save"):
                await self._session.save()
        except SessionError as error:
            raise SessionStoreUnavailable(f"The session cannot be saved: {error}") from error

    async def release(self) -> None:
        await self._session.release()


def session_of(request: Request) -> Session:
    """Raises SessionMiddlewareMissing."""
    session = getattr(request.state, "session", None)
    if not isinstance(session, Session):
        raise SessionMiddlewareMissing(
            "No session: add FasterSessionMiddleware to the application, or give ChatStream a `history`."
        )
    return session


def session_history(request: Request, metrics: Metrics, window: Window | None = None) -> History:
    """The default history, which reads the newest part of a conversation. Raises SessionMiddlewareMissing."""
    return SessionHistory(session_of(request), metrics, window or Window())
