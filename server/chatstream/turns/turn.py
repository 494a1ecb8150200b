"""One chat turn, from its ticket to its end.

`Turn.run` is awaited by the task that the server gave to the request. The way that things should go runs in a
task of its own (`_attempt`), so that whatever ends the turn has one thing to cancel: `_end`, a synchronous
step, which closes the engine's stream and frees the slot before anything else is done. What remains (the
history, the last bytes, the figures, the callback) runs once, in `_close`, shielded and bounded.
"""

import asyncio
from time import perf_counter

from chatstream.admission import Ticket
from chatstream.errors import (
    ChatStreamError,
    EngineTimeout,
    QueueTimeout,
    ReaderStalled,
    ShuttingDown,
    TurnCancelled,
    TurnTimeout,
    problem_of,
)
from chatstream.framing import encode_event
from chatstream.logs import get_logger
from chatstream.prompts import ChatPrompt, fit
from chatstream.prompts.message import new_id
from chatstream.turns.callback import notify
from chatstream.turns.generation import Generation
from chatstream.turns.outcome import SUCCESS, ClientGone, Ending, Phase, disconnected, failed
from chatstream.turns.record import record
from chatstream.turns.services import Exchange, Services

log = get_logger(__name__)

NOT_SAVED = ("history_not_saved", "This turn could not be saved: the next one may not know of it.")
SESSION_ENDED = (
    "session_ended",
    "The earlier conversation of this browser has ended or was lost; this is a new one.",
)


class Turn:
    def __init__(self, services: Services, exchange: Exchange, ticket: Ticket) -> None:
        """The ticket is the turn's from here: only the turn gives it back."""
        self._services = services
        self._exchange = exchange
        self._limits = services.limits
        self._reply = exchange.reply
        self._clock = services.clock
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._prompt: ChatPrompt | None = None
        self._complete = False
        self._message_id = new_id()
        self._attempting: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[Exception | None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.ticket = ticket
        self.began_at = self._clock()
        self.accepted = False
        self.generation: Generation | None = None
        self.ending: Ending | None = None
        services.live.add(self)

    @property
    def phase(self) -> Phase:
        if self.generation is not None and self.generation.first_at is not None:
            return "streaming"
        return "prefill" if self.ticket.granted else "queued"

    def shut_down(self) -> None:
        """End the turn because the server goes: what is there is kept, the client is told."""
        self._end(failed(ShuttingDown("The server is shutting down.", 1.0)))

    async def run(self) -> None:
        """Live through the turn; returns when its end is dealt with, except where it is itself cancelled."""
        self._attempting = self._loop.create_task(self._attempt())
        self._attempting.add_done_callback(self._attempted)
        watching = self._loop.create_task(self._watch())
        self._tick()
        try:
            await self._over.wait()
        except asyncio.CancelledError:
            self._end(failed(TurnCancelled("The server cancelled this turn.")))
            raise
        finally:
            watching.cancel()
            self._closing = self._loop.create_task(self._close(self._attempting))
            await asyncio.shield(self._closing)

    # --- the way that things should go ---------------------------------------------------------------

    async def _attempt(self) -> None:
        text, stops = await self._load()
        await self._wait_for_slot()
        self.generation = Generation(self._services, text, stops)
        await self.generation.run(self._reply.write)
        self._complete = True
        self._release()
        if await asyncio.shield(self._keep()) is not None:
            self._reply.warn(*NOT_SAVED)
        await self._reply.write(encode_event("done", self.generation.summary(self._message_id)))
        self._end(SUCCESS)

    async def _load(self) -> tuple[str, tuple[str, ...]]:
        """The prompt's text and its stop strings; from here the turn is accepted."""
        options, chat, history = self._services.options, self._exchange.chat, self._exchange.history
        stored = await history.load(self._limits.lease_seconds) or ChatPrompt()
        if history.previous_ended:
            self._reply.warn(*SESSION_ENDED)
        prompt = stored.configured(options.template, options.system_prompt, options.max_turns)
        if chat.regenerate:
            prompt.regenerate()
        else:
            prompt.add_requester_msg(chat.user_input)
        text = await fit(prompt, options.input_budget, self._count_tokens)
        self._prompt = prompt
        self.accepted = True
        return text, (*prompt.stops, *options.stop)

    async def _count_tokens(self, text: str) -> int:
        limit = self._limits.count_timeout
        try:
            async with asyncio.timeout(limit):
                return await self._services.engine.count_tokens(text)
        except TimeoutError:
            raise EngineTimeout(f"The engine did not count a prompt's tokens within {limit:g} s.") from None

    async def _wait_for_slot(self) -> None:
        remaining = self.began_at + self._limits.queue_timeout - self._clock()
        try:
            async with asyncio.timeout(remaining):
                while not self.ticket.granted:
                    await self._reply.write(encode_event("queued", {"position": self.ticket.position}))
                    await self.ticket.moved()
        except TimeoutError:
            if not self.ticket.granted:
                limit, again = self._limits.queue_timeout, self._services.admission.advice()
                raise QueueTimeout(f"No slot came free within {limit:g} s.", again) from None

    # --- what may end it -----------------------------------------------------------------------------

    def _attempted(self, attempt: asyncio.Task[None]) -> None:
        """The attempt is over by itself; where the turn had ended before, this changes nothing."""
        error = TurnCancelled("This turn was cancelled.") if attempt.cancelled() else attempt.exception()
        if isinstance(error, ClientGone):
            self._left()
        elif error is not None:
            self._end(failed(error))

    async def _watch(self) -> None:
        """Wait for the client's going: from the start of the turn to its end nobody else may receive."""
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass
        self._left()

    def _left(self) -> None:
        if self.ending is not None:
            return
        noticed, phase = perf_counter(), self.phase
        holding = self.ticket.granted and self.ticket.released_at is None
        self._end(disconnected(phase))
        self._services.metrics.disconnects.labels(phase).inc()
        if holding:
            self._services.metrics.disconnect_release.observe(perf_counter() - noticed)

    def _tick(self) -> None:
        """The turn's one timer: a reader that stalls, a turn that takes too long, a silence to be broken."""
        if self.ending is not None:
            return
        limits, reply, now = self._limits, self._reply, self._clock()
        stalls_at = (now if reply.blocked_since is None else reply.blocked_since) + limits.write_timeout
        if now >= stalls_at:
            self._end(failed(ReaderStalled(f"Nothing was read for {limits.write_timeout:g} s.")))
            return
        granted_at = self.ticket.granted_at
        if granted_at is not None and now >= granted_at + limits.turn_timeout:
            self._end(failed(TurnTimeout(f"The turn took longer than {limits.turn_timeout:g} s.")))
            return
        silent_at = reply.last_write + limits.keep_alive
        if now >= silent_at:
            silent_at = now + limits.keep_alive
            if reply.blocked_since is None:
                reply.ping()
        self._timer = self._loop.call_later(max(0.001, min(stalls_at, silent_at) - now), self._tick)

    def _end(self, ending: Ending) -> None:
        """End the turn, once: whatever comes later changes nothing. Frees the GPU and the slot at once."""
        if self.ending is not None:
            return
        self.ending = ending
        try:
            self._release()
        finally:
            self._over.set()
            if self._timer is not None:
                self._timer.cancel()
            if ending is not SUCCESS and self._attempting is not None:
                self._attempting.cancel()

    def _release(self) -> None:
        try:
            if self.generation is not None:
                self.generation.close()
        finally:
            self.ticket.release()

    # --- the end, once -------------------------------------------------------------------------------

    def _keep(self) -> asyncio.Task[Exception | None]:
        """Save the history or give it free, once; the result is what went wrong. Never cancelled half-way."""
        if self._keeping is None:
            self._keeping = self._loop.create_task(self._keep_history())
        return self._keeping

    async def _keep_history(self) -> Exception | None:
        history, prompt = self._exchange.history, self._kept()
        try:
            async with asyncio.timeout(self._limits.keep_timeout):
                await (history.release() if prompt is None else history.save(prompt))
        except ChatStreamError as error:
            log.warning("history not kept", error=str(error))
            return error
        except Exception as error:
            # A history may be anybody's code; what it raises must not cost the client its reply.
            log.exception("history not kept")
            return error
        return None

    def _kept(self) -> ChatPrompt | None:
        """The conversation as it shall be kept; None where it stays as it was.

        A reply that was cut is kept, unless it was to replace another one and failed.
        """
        text = self.generation.text if self.generation is not None else ""
        if self._prompt is None or not text:
            return None
        left = self.ending is not None and self.ending.left
        if self._exchange.chat.regenerate and not self._complete and not left:
            return None
        self._prompt.add_responder_msg(text, incomplete=not self._complete, message_id=self._message_id)
        return self._prompt

    async def _close(self, attempt: asyncio.Task[None]) -> None:
        ending = self.ending
        assert ending is not None
        try:
            await asyncio.wait((attempt,), timeout=self._limits.farewell_timeout)
            self._release()  # what an attempt opened while it was being cancelled
            await asyncio.wait((self._keep(),))
            await self._farewell(ending)
            self._record(ending)
            if self.accepted and self._exchange.callback is not None:
                limit = self._limits.callback_timeout
                await notify(self._exchange.callback, self._exchange.request, ending, limit)
        finally:
            self._services.live.discard(self)

    def _record(self, ending: Ending) -> None:
        try:
            record(self, ending, self._services.metrics, self._clock())
        except Exception:
            # Figures that an engine made up, for instance; the callback still has to follow.
            log.exception("turn not counted")

    async def _farewell(self, ending: Ending) -> None:
        """The last bytes. A client that does not take them in time is cut off."""
        if ending.left or isinstance(ending.error, ReaderStalled):
            self._reply.abort()
            return
        try:
            async with asyncio.timeout(self._limits.farewell_timeout):
                if ending.error is None:
                    await self._reply.end()
                else:
                    await self._reply.fail(problem_of(ending.error))
        except (TimeoutError, ClientGone):
            self._reply.abort()
        except Exception:
            # Whatever a server's `send` raises, the figures and the callback still have to follow.
            log.exception("no farewell")
            self._reply.abort()
