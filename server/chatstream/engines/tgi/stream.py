"""One generation that TGI streams."""

import asyncio
from typing import Any, NoReturn

import aiohttp

from chatstream.engines.base import Batch, GenerationEnd
from chatstream.engines.sse import SSEParser
from chatstream.engines.tgi.text import TextAssembler
from chatstream.engines.tgi.wire import decode_event, event_error, parse_end
from chatstream.errors import EngineError, EngineFailed, EngineTimeout


class TGIStream:
    """Reads whole chunks; per token there is one JSON object and nothing else.

    The limits on silence count from token to token: keep-alive comments do not extend them.
    """

    def __init__(self, response: aiohttp.ClientResponse, deadline: float, idle_timeout: float) -> None:
        self._response = response
        self._content = response.content
        self._parser = SSEParser()
        self._text = TextAssembler()
        self._deadline = deadline  # of the next token, on the loop's clock
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._tokens = 0
        self._late_error: EngineError | None = None
        self._over = False

    async def read(self) -> Batch:
        if self._late_error is not None:
            error, self._late_error = self._late_error, None
            self._fail(error)
        while not self._over:
            batch = self._parse(await self._chunk())
            if batch.texts or batch.end:
                return batch
        raise EngineFailed("the stream is over")

    def close(self) -> None:
        self._over = True
        self._response.close()

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._deadline):
                chunk = await self._content.readany()
        except TimeoutError:
            self._fail(EngineTimeout("the engine sent no token within the time allowed"))
        except (aiohttp.ClientError, OSError) as error:
            self._fail(EngineFailed(f"the connection to the engine broke: {error or type(error).__name__}"))
        if not chunk:
            self._fail(EngineFailed("the engine ended its stream without a final event"))
        return chunk

    def _parse(self, chunk: bytes) -> Batch:
        texts: list[str] = []
        end: GenerationEnd | None = None
        before = self._tokens
        try:
            for data in self._parser.feed(chunk):
                end = self._take(decode_event(data), texts)
                if end is not None:
                    self._over = True
                    break
        except EngineError as error:
            if not texts:
                self._fail(error)
            self._late_error = error  # what came before it is delivered first
        if self._tokens != before:
            self._deadline = self._loop.time() + self._idle_timeout
        return Batch(texts, end)

    def _take(self, event: dict[str, Any], texts: list[str]) -> GenerationEnd | None:
        """Put the event's text into `texts`; return the end if this is it."""
        try:
            token = event["token"]
            special, text = token["special"], token["text"]
            shown = "" if special else self._text.push(text)
        except (KeyError, TypeError, AttributeError) as error:
            raise event_error(event) from error
        self._tokens += 1
        if shown:
            texts.append(shown)
        if event.get("generated_text") is None:
            return None
        return self._end(event, texts)

    def _end(self, event: dict[str, Any], texts: list[str]) -> GenerationEnd:
        end = parse_end(event, self._tokens)
        tail = self._text.finish(end.text, cut=end.finish_reason == "length")
        if tail:
            texts.append(tail)
        return end

    def _fail(self, error: EngineError) -> NoReturn:
        self.close()
        raise error
