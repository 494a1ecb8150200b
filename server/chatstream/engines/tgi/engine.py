"""The client of a text-generation-inference server."""

import asyncio
import random
from typing import Any

import aiohttp

from chatstream.engines.base import EngineInfo, GenerationRequest
from chatstream.engines.tgi.stream import TGIStream
from chatstream.engines.tgi.wire import build_payload, parse_info, parse_token_count, response_error
from chatstream.errors import EngineError, EngineFailed, EngineTimeout, EngineUnavailable

_HEALTH_TIMEOUT = 2.0
_ANSWER_TIMEOUT = 10.0  # of everything that generates nothing
_ERROR_BODY = 64 * 1024
_LONGEST_ANSWER = 32 * 1024 * 1024  # of /tokenize; some 100 bytes a token
_STALE_CONNECTION_PAUSE = 0.05


class TGIEngine:
    """One pooled HTTP session to one engine. Timeouts are in seconds; `base_url` has no path of its own.

    `first_token_timeout` counts from the request's sending to the first token, `idle_timeout` from one token
    to the next.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        connect_timeout: float = 5.0,
        first_token_timeout: float = 120.0,
        idle_timeout: float = 60.0,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._connect_timeout = connect_timeout
        self._first_token_timeout = first_token_timeout
        self._idle_timeout = idle_timeout
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def open(self, request: GenerationRequest) -> TGIStream:
        deadline = asyncio.get_running_loop().time() + self._first_token_timeout
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._request("POST", "/generate_stream", build_payload(request))
        except TimeoutError:
            raise EngineTimeout("the engine did not answer within the time allowed") from None
        return TGIStream(response, deadline, self._idle_timeout)

    async def info(self) -> EngineInfo:
        return parse_info(await self._body("GET", "/info"))

    async def healthy(self) -> bool:
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT):
                response = await self._request("GET", "/health")
        except (EngineError, TimeoutError):
            return False
        response.release()
        return True

    async def count_tokens(self, text: str) -> int:
        return parse_token_count(await self._body("POST", "/tokenize", {"inputs": text}))

    async def aclose(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _body(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """The whole body of an answer that generates nothing."""
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                return await _whole(await self._request(method, path, body), path)
        except TimeoutError:
            raise EngineTimeout(
                f"the engine did not answer {path} within {_ANSWER_TIMEOUT:g} seconds"
            ) from None
        except aiohttp.ClientError as error:
            raise EngineFailed(f"the engine's answer to {path} broke off: {error}") from error

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> aiohttp.ClientResponse:
        """An answer with status 200, its body still to be read. The caller limits the time."""
        try:
            response = await self._send(method, path, body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError):
                raise EngineUnavailable(f"the engine cannot be reached: {error}") from error
            # A pooled connection that the engine had closed already: nothing was answered, so ask once more.
            await asyncio.sleep(random.uniform(0, _STALE_CONNECTION_PAUSE))  # noqa: S311
            response = await self._send_again(method, path, body)
        except aiohttp.ClientError as error:
            raise _broken(error) from error
        if response.status != 200:
            raise await _refusal(response)
        return response

    async def _send_again(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> aiohttp.ClientResponse:
        try:
            return await self._send(method, path, body)
        except aiohttp.ClientError as error:
            raise _broken(error) from error

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> aiohttp.ClientResponse:
        return await self._pool().request(method, self._base_url + path, json=body, allow_redirects=False)

    def _pool(self) -> aiohttp.ClientSession:
        """Made at the first use, because it belongs to the loop that runs then."""
        if self._closed:
            raise EngineUnavailable("the engine's client is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # the admission is what limits
                headers={"Accept-Encoding": "identity", **self._headers},
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout),
            )
        return self._session


def _broken(error: aiohttp.ClientError) -> EngineError:
    detail = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return EngineFailed(f"the engine's answer is no HTTP: {detail}")
    return EngineUnavailable(f"the engine cannot be reached: {detail}")


async def _whole(response: aiohttp.ClientResponse, path: str) -> bytes:
    body = bytearray()
    try:
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > _LONGEST_ANSWER:
                raise EngineFailed(f"the engine's answer to {path} is longer than {_LONGEST_ANSWER} bytes")
    finally:
        response.release() if response.content.at_eof() else response.close()
    return bytes(body)


async def _refusal(response: aiohttp.ClientResponse) -> EngineError:
    """The error that an answer other than 200 stands for, from the beginning of its body."""
    body = b""
    try:
        while len(body) < _ERROR_BODY and (chunk := await response.content.readany()):
            body += chunk
    except aiohttp.ClientError:
        pass  # the status alone must do
    finally:
        response.close()
    return response_error(response.status, body)
