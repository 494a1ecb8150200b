"""The response that an endpoint returns: nothing is taken before it is called, and it owns `receive`."""

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chatstream.admission import Ticket
from chatstream.errors import BodyTimeout, Draining, TurnError
from chatstream.metrics import Metrics
from chatstream.turns.callback import Callback
from chatstream.turns.history import History
from chatstream.turns.outcome import ClientGone
from chatstream.turns.record import refused
from chatstream.turns.reply import Reply
from chatstream.turns.request import Body, read_chat_request
from chatstream.turns.services import Exchange, Services
from chatstream.turns.turn import Turn

HistoryOf = Callable[[Request, Metrics], History]


class TurnResponse(Response):
    """Headers that are set on it go out with the turn's own; its status is the turn's."""

    def __init__(
        self,
        services: Services,
        request: Request,
        body: Body | None,
        callback: Callback | None,
        history_of: HistoryOf,
    ) -> None:
        super().__init__()
        self.raw_headers = []
        self._services = services
        self._request = request
        self._body = body
        self._callback = callback
        self._history_of = history_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(scope, send, self.raw_headers, self._services.clock)
        try:
            exchange, ticket = await self._begin(receive, reply)
        except ClientDisconnect:
            return
        except TurnError as error:
            refused(error.code, self._services.metrics)
            await self._refuse(reply, error)
        else:
            await Turn(self._services, exchange, ticket).run()
        if self.background is not None:
            await self.background()

    async def _begin(self, receive: Receive, reply: Reply) -> tuple[Exchange, Ticket]:
        """Check everything, then take a ticket: the last step, after which nothing can fail."""
        chat = await read_chat_request(self._request, self._body, self._services.limits)
        history = self._history_of(self._request, self._services.metrics)
        if history.insecure_cookie:
            self._services.metrics.insecure_cookies.inc()
            reply.warn(
                "secure_cookie_over_plain_http",
                "The session's cookie is for https only, so over http each turn begins a new session.",
            )
        exchange = Exchange(self._request, chat, receive, reply, history, self._callback)
        return exchange, self._services.admission.enter()

    async def _refuse(self, reply: Reply, error: TurnError) -> None:
        if isinstance(error, Draining | BodyTimeout):
            reply.add_header(b"connection", b"close")
        try:
            async with asyncio.timeout(self._services.limits.farewell_timeout):
                await reply.fail(error.problem())
        except (TimeoutError, ClientGone):
            reply.abort()
