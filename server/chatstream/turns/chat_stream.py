"""ChatStream: what a web application holds. One instance shares nothing with another."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from chatstream.admission import Admission, Load
from chatstream.engines import Engine
from chatstream.metrics import Metrics
from chatstream.prompts import TemplateName
from chatstream.turns.callback import Callback
from chatstream.turns.history import session_history
from chatstream.turns.options import ChatOptions, TurnLimits
from chatstream.turns.request import Body
from chatstream.turns.response import HistoryOf, TurnResponse
from chatstream.turns.services import Services

LAST_WORDS = 10.0
"""Seconds for turns that were ended by the drain to be saved and to call back."""


class ChatStream:
    """Streams chat turns of one engine, a limited number at a time.

    Times are in seconds. It needs no start: the engine connects with the first turn. It installs no signal
    handlers; `drain` and `aclose` are the application's to call, from its lifespan for instance.
    """

    def __init__(
        self,
        engine: Engine,
        num_of_concurrent_executions: int = 2,
        max_queue_size: int = 5,
        *,
        queue_timeout: float = 30.0,
        write_timeout: float = 30.0,
        max_new_tokens: int = 1024,
        callback_timeout: float = 10.0,
        template: TemplateName = "chatml",
        system_prompt: str | None = None,
        max_turns: int | None = 50,
        max_input_tokens: int = 4096,
        max_total_tokens: int = 8192,
        temperature: float | None = None,
        top_p: float | None = None,
        stop: Sequence[str] = (),
        keep_alive: float = 10.0,
        turn_timeout: float = 600.0,
        body_timeout: float = 10.0,
        max_body_bytes: int = 65_536,
        history: HistoryOf | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError for limits that cannot be. `history` None: the session's."""
        self.metrics = metrics or Metrics()
        self._services = Services(
            engine=engine,
            admission=Admission(num_of_concurrent_executions, max_queue_size, clock),
            metrics=self.metrics,
            limits=TurnLimits(
                queue_timeout=queue_timeout,
                write_timeout=write_timeout,
                keep_alive=keep_alive,
                turn_timeout=turn_timeout,
                callback_timeout=callback_timeout,
                body_timeout=body_timeout,
                body_bytes=max_body_bytes,
            ),
            options=ChatOptions(
                template=template,
                system_prompt=system_prompt,
                max_turns=max_turns,
                max_input_tokens=max_input_tokens,
                max_total_tokens=max_total_tokens,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                stop=tuple(stop),
            ),
            clock=clock,
        )
        window = self._services.options.window
        self._history_of: HistoryOf = history or partial(session_history, window=window)
        self.metrics.watch(self.load)

    @property
    def engine(self) -> Engine:
        return self._services.engine

    @property
    def draining(self) -> bool:
        return self._services.admission.shut

    async def handle_chat_stream_request(
        self, request: Request, request_body: Body | None = None, callback: Callback | None = None
    ) -> Response:
        """The response that streams one turn. Nothing is taken before the server calls it.

        `request_body` is what was read of the request already: bytes, text, or the parsed object or form.
        `callback(request, message)` is called once, after the end of a turn that was not refused.
        """
        return TurnResponse(self._services, request, request_body, callback, self._history_of)

    def load(self) -> Load:
        return self._services.admission.load()

    def start_draining(self) -> None:
        """Refuse new turns from here; who is in, waiting or not, goes on."""
        self._services.admission.shut = True

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - a limit for the turns, not for this call
        """Refuse new turns, wait for the others, and after `timeout` end them in order."""
        self.start_draining()
        if not await self._services.live.over(timeout):
            for turn in self._services.live:
                turn.shut_down()
            await self._services.live.over(LAST_WORDS)

    async def aclose(self) -> None:
        """Close the engine's connections."""
        await self._services.engine.aclose()
