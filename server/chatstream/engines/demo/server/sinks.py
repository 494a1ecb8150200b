"""Where a job's tokens go: into a stream of events, or into one answer at the end."""

from collections.abc import Callable

from chatstream.engines.demo.plan import Plan
from chatstream.engines.demo.script import Token
from chatstream.engines.demo.server import answers
from chatstream.engines.demo.server.batcher import Timings
from chatstream.engines.demo.server.request import Asked, Valid

Send = Callable[[bytes], None]
Finish = Callable[[bytes], None]
"""Sends the last bytes of an answer, after which the connection takes its next request."""


class StreamSink:
    """Every token is an event, and every event a chunk; what comes together is written together."""

    def __init__(self, asked: Asked, valid: Valid, plan: Plan, send: Send, finish: Finish) -> None:
        self._asked = asked
        self._valid = valid
        self._plan = plan
        self._send = send
        self._finish = finish

    def tokens(self, first: int, tokens: tuple[Token, ...], end: Timings | None) -> None:
        last = len(self._plan.tokens) if end else 0
        data = b"".join(
            answers.build_token_event(
                index, token, self._asked, self._valid, self._plan if index == last else None
            )
            for index, token in enumerate(tokens, first + 1)
        )
        if end is None:
            self._send(data)
        else:
            self._finish(data + answers.LAST_CHUNK)

    def failed(self, message: str) -> None:
        event = answers.build_event({"error": message, "error_type": "generation"})
        self._finish(event + answers.LAST_CHUNK)


class WholeSink:
    """One answer when all tokens are there. `in_list`: as POST / wants it."""

    def __init__(
        self, asked: Asked, valid: Valid, plan: Plan, finish: Finish, compute_type: str, *, in_list: bool
    ) -> None:
        self._asked = asked
        self._valid = valid
        self._plan = plan
        self._finish = finish
        self._compute_type = compute_type
        self._in_list = in_list

    def tokens(self, first: int, tokens: tuple[Token, ...], end: Timings | None) -> None:
        if end is None:
            return
        body = answers.build_generation(self._asked, self._valid, self._plan)
        headers = answers.build_generation_headers(self._compute_type, self._asked, self._valid, end)
        text = answers.compact([body] if self._in_list else body)
        self._finish(answers.build_answer(200, text, headers))

    def failed(self, message: str) -> None:
        self._finish(answers.build_error(424, message, "generation"))
