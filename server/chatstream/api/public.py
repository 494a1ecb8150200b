"""What clients and probes ask: the turn itself, its session, the load, liveness and readiness."""

from dataclasses import asdict

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from chatstream.api.health import EngineMonitor
from chatstream.api.sessions import Exports, delete_session
from chatstream.turns import ChatStream


def build_public_router(chat_stream: ChatStream, monitor: EngineMonitor) -> APIRouter:
    router = APIRouter()
    exports = Exports(chat_stream.metrics)

    @router.post("/chat_stream")
    async def stream_api(request: Request) -> Response:
        return await chat_stream.handle_chat_stream_request(request)

    @router.get("/session")
    async def get_session(request: Request) -> Response:
        return await exports.handle(request)

    @router.delete("/session")
    async def end_session(request: Request) -> Response:
        return await delete_session(request, chat_stream.metrics)

    @router.get("/get_load")
    async def get_load() -> dict[str, object]:
        return {"workers": [asdict(chat_stream.load())]}

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz() -> Response:
        """Ready without Redis too: a pod that cannot reach it still answers with a clear error."""
        if chat_stream.draining:
            return JSONResponse({"status": "draining"}, 503, {"connection": "close"})
        if not monitor.up:
            return JSONResponse({"status": "engine_down"}, 503)
        return JSONResponse({"status": "ready"})

    return router
