"""What is stored of a browser, for its owner: the whole conversation to take away, and its deletion."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chatstream.errors import NoSession, SessionDataInvalid, TooManyRequests, TurnError
from chatstream.logs import get_logger
from chatstream.metrics import Metrics
from chatstream.prompts import ChatPrompt, Fold, Message
from chatstream.turns.history import session_of
from chatstream.turns.reply import ABORT_EXTENSION
from chatstream.turns.session_access import (
    conversation_in,
    load_session,
    measured,
    read_journal,
    unreadable,
)
from fastersession import Session, Window

log = get_logger(__name__)

FORMAT = 1
NEWEST = Window(entries=1, bytes=1)
"""The store is asked for the rest page by page, or not at all."""
CHUNK = 65_536
"""Bytes of a conversation that are sent at once."""
EXPORT_SECONDS, STALL_SECONDS = 300.0, 30.0
"""For a whole conversation, and for one piece of it: a reader that takes nothing is cut off."""
MOST_EXPORTS = 4
"""At the same time: each holds a page of the store in memory, for as long as its reader takes."""
TRY_AGAIN = 5.0
DELETE_SECONDS = 10.0
"""The longest that a deletion keeps turns of its session away; it takes a few milliseconds."""
HEADERS = {"cache-control": "no-store"}


class Exports:
    """`GET /session`: the conversation as JSON; where it cannot be read, why."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._running = 0

    async def handle(self, request: Request) -> Response:
        """Nothing but the first page is read before the response is called."""
        if self._running >= MOST_EXPORTS:
            return _refusal(TooManyRequests("Too many conversations are being sent.", TRY_AGAIN))
        self._running += 1
        try:
            chunks = await self._open(session_of(request))
            return Export(await anext(chunks), chunks, self._over)
        except TurnError as error:
            self._over()
            return _refusal(error)
        except BaseException:
            self._over()
            raise

    async def _open(self, session: Session) -> AsyncGenerator[bytes, None]:
        await load_session(session, self._metrics, window=NEWEST)
        if session.is_new:
            raise NoSession("This browser has no session here, or it has ended.")
        return _chunks(session, conversation_in(session), self._metrics)

    def _over(self) -> None:
        self._running -= 1


async def delete_session(request: Request, metrics: Metrics) -> Response:
    """204 once nothing of the session is stored any more but, for a moment, the lease under which it was
    deleted; the middleware has the cookie expire.

    What cannot be read can be deleted all the same. Raises SessionError where it is still there: the
    middleware answers then, and leaves the cookie as it is.
    """
    session = session_of(request)
    if not session.is_new:
        try:
            await load_session(session, metrics, window=NEWEST, lease_seconds=DELETE_SECONDS)
        except SessionDataInvalid:
            log.info("session data that cannot be read is deleted")
        except TurnError as error:
            return _refusal(error)
    session.invalidate()
    with measured(metrics, "delete"):
        await session.save()
    return Response(status_code=204, headers=HEADERS)


class Export(Response):
    """A conversation on its way. What fails on the way cuts the connection: half of it is no whole one."""

    def __init__(self, first: bytes, others: AsyncGenerator[bytes, None], over: Callable[[], None]) -> None:
        """`over` is called at the end, once."""
        disposition = 'attachment; filename="conversation.json"'
        super().__init__(
            media_type="application/json", headers={**HEADERS, "content-disposition": disposition}
        )
        del self.headers["content-length"]
        self._first = first
        self._others = others
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(EXPORT_SECONDS):
                await self._send(Request(scope, receive), send)
        except (TurnError, TimeoutError) as error:
            log.warning("export cut", cause=getattr(error, "code", "timeout"))
            abort = (scope.get("extensions") or {}).get(ABORT_EXTENSION, {}).get("abort")
            if abort is None:
                raise
            abort()
        finally:
            self._over()
            await self._others.aclose()

    async def _send(self, request: Request, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        chunk = self._first
        while chunk and not await request.is_disconnected():
            async with asyncio.timeout(STALL_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk = await anext(self._others, b"")
        await send({"type": "http.response.body", "body": b""})


async def _chunks(
    session: Session, prompt: ChatPrompt | None, metrics: Metrics
) -> AsyncGenerator[bytes, None]:
    """The export's JSON in pieces of about CHUNK bytes."""
    head = {
        "format": FORMAT,
        "created_at": _time(session.created_at),
        "last_accessed_at": _time(session.last_accessed_at),
    }
    piece, between = f'{json.dumps(head)[:-1]}, "messages": [', "\n"
    if prompt is not None:
        async for messages in _turns(session, prompt, metrics):
            for message in messages:
                piece += between + json.dumps(_shown(message))
                between = ",\n"
                if len(piece) >= CHUNK:
                    yield piece.encode()
                    piece = ""
    yield f"{piece}\n]}}\n".encode()


async def _turns(session: Session, prompt: ChatPrompt, metrics: Metrics) -> AsyncIterator[Iterable[Message]]:
    fold = Fold()
    async for entry in read_journal(session, prompt.journal, metrics):
        try:
            yield fold.feed(entry)
        except ValueError as error:
            raise unreadable(str(error)) from error
    yield fold.rest()


def _shown(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "role": message.role,
        "text": message.text,
        "incomplete": message.incomplete,
    }


def _time(unix: float) -> str:
    try:
        return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError) as error:
        raise unreadable("a time of the stored session is beyond all years") from error


def _refusal(error: TurnError) -> Response:
    problem = error.problem()
    again = {} if problem.retry_after is None else {"retry-after": f"{problem.retry_after:.0f}"}
    body = json.dumps({"error": problem.code, "detail": problem.detail})
    return Response(body, problem.status, {**HEADERS, **again}, "application/json")
