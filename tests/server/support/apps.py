"""Applications as users build them."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response

from chatstream import ChatStream
from chatstream.engines import DemoEngine
from chatstream.settings import Settings
from fastersession import FasterSessionMiddleware, MemoryStore, SessionStore

KEY = "a key of thirty-two bytes or so.."


def build_app(
    chat_stream: ChatStream, store: SessionStore | None = None, callback: Callable[..., Any] | None = None
) -> FastAPI:
    """One route, and the session middleware as it is by default."""
    app = FastAPI()
    app.add_middleware(FasterSessionMiddleware, secret_key=KEY, store=store or MemoryStore())

    @app.post("/chat_stream")
    async def stream_api(request: Request) -> Response:
        return await chat_stream.handle_chat_stream_request(request, callback=callback)

    return app


def demo_settings(**changes: Any) -> Settings:  # noqa: ANN401 - settings of any kind
    """As `chatstream dev`, on any free port."""
    return Settings(
        **{
            "port": 0,
            "metrics_port": 0,
            "engine": {"type": "demo"},
            "sessions": {"secret_keys": [KEY], "cookie": {"secure": False}},
            **changes,
        }
    )


def demo_chat_stream(**options: Any) -> tuple[ChatStream, DemoEngine]:  # noqa: ANN401 - options of any kind
    engine = DemoEngine()
    return ChatStream(engine, **options), engine
