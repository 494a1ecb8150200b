"""What the metrics port serves, for Prometheus and for the operator: never for the public."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Literal

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from chatstream.api.health import EngineMonitor
from chatstream.turns import ChatStream
from fastersession import KeyRing, SessionError, SessionStore

PING_LIMIT = 2.0


@dataclass(frozen=True, slots=True)
class StatusSource:
    """All that `/status` tells of."""

    chat_stream: ChatStream
    monitor: EngineMonitor
    store: SessionStore
    store_kind: Literal["memory", "redis"]
    keys: KeyRing
    encryption_keys: KeyRing | None

    async def collect(self) -> dict[str, Any]:
        insecure = self.chat_stream.metrics.registry.get_sample_value("chatstream_insecure_cookies_total")
        error = await self._store_error()
        return {
            "engine": {"up": self.monitor.up, "model_id": self.monitor.model_id},
            "sessions": {
                "store": self.store_kind,
                "reachable": error is None,
                "error": error,
                "keys": self.keys.fingerprints(),
                "encryption_keys": self.encryption_keys.fingerprints() if self.encryption_keys else (),
            },
            "load": asdict(self.chat_stream.load()),
            "draining": self.chat_stream.draining,
            "plain_http_with_secure_cookie": int(insecure or 0),
        }

    async def _store_error(self) -> str | None:
        try:
            async with asyncio.timeout(PING_LIMIT):
                await self.store.ping()
        except TimeoutError:
            return f"no answer within {PING_LIMIT:g} s"
        except SessionError as error:
            return str(error)
        return None


def build_inner_routes(source: StatusSource) -> list[BaseRoute]:
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(source.chat_stream.metrics.registry), media_type=content_type)

    async def status(request: Request) -> Response:
        return JSONResponse(await source.collect())

    return [Route("/metrics", metrics), Route("/status", status)]
