"""From settings to the objects that serve."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.applications import Starlette

from chatstream.api import EngineMonitor, StatusSource, build_inner_routes, build_public_router
from chatstream.app.keys import Keys, read_keys
from chatstream.engines import DemoEngine, Engine, TGIEngine
from chatstream.metrics import Metrics
from chatstream.settings import ConfigurationError, EngineSettings, SessionSettings, Settings
from chatstream.turns import ChatStream
from fastersession import EncryptedStore, FasterSessionMiddleware, MemoryStore, RedisStore, SessionStore


@dataclass(frozen=True, slots=True)
class Service:
    """`public` is for the clients, `inner` for Prometheus and the operator."""

    chat_stream: ChatStream
    public: FastAPI
    inner: Starlette


def create_app(settings: Settings) -> FastAPI:
    """The application for the clients alone."""
    return build_service(settings).public


def build_service(
    settings: Settings, engine: Engine | None = None, store: SessionStore | None = None
) -> Service:
    """Raises ConfigurationError where the settings do not suffice."""
    keys = read_keys(settings.sessions)
    store = build_store(settings.sessions) if store is None else store
    engine = build_engine(settings.engine) if engine is None else engine
    chat_stream = build_chat_stream(settings, engine)
    watch_circuit(store, chat_stream.metrics)
    if keys.encryption is not None:
        store = EncryptedStore(store, keys.encryption)
    monitor = EngineMonitor(engine, chat_stream.metrics.engine_up)
    source = StatusSource(chat_stream, monitor, store, settings.sessions.store, keys.session, keys.encryption)
    public = build_public(settings, source, keys)
    return Service(chat_stream, public, Starlette(routes=build_inner_routes(source)))


def build_engine(settings: EngineSettings) -> Engine:
    if settings.type == "demo":
        return DemoEngine(
            first_token_timeout=settings.first_token_timeout, idle_timeout=settings.idle_timeout
        )
    return TGIEngine(
        settings.url,
        api_key=_plain(settings.api_key),
        connect_timeout=settings.connect_timeout,
        first_token_timeout=settings.first_token_timeout,
        idle_timeout=settings.idle_timeout,
    )


def build_store(settings: SessionSettings) -> SessionStore:
    if settings.store == "memory" or settings.redis_url is None:
        return MemoryStore()
    try:
        return RedisStore.from_url(
            settings.redis_url, password=_plain(settings.redis_password), ca_file=settings.redis_ca_file
        )
    except ValueError as error:
        # Without its traceback, in which a part of the password may stand.
        raise ConfigurationError(f"sessions.redis_url (and redis_ca_file): {error}") from None


def watch_circuit(store: SessionStore, metrics: Metrics) -> None:
    """Export whether the store is asked at all; one without a circuit breaker always is."""
    if isinstance(store, RedisStore):
        metrics.session_store_circuit.set_function(lambda: float(store.circuit_open))


def build_chat_stream(settings: Settings, engine: Engine) -> ChatStream:
    chat, concurrency, limits = settings.chat, settings.concurrency, settings.limits
    return ChatStream(
        engine,
        num_of_concurrent_executions=concurrency.max_concurrent,
        max_queue_size=concurrency.max_queued,
        queue_timeout=concurrency.queue_timeout,
        write_timeout=limits.write_timeout,
        callback_timeout=limits.callback_timeout,
        keep_alive=limits.keep_alive,
        turn_timeout=limits.turn_timeout,
        body_timeout=limits.body_timeout,
        max_body_bytes=limits.body_bytes,
        template=chat.template,
        system_prompt=chat.system_prompt,
        max_turns=chat.max_turns,
        max_input_tokens=chat.max_input_tokens,
        max_total_tokens=chat.max_total_tokens,
        max_new_tokens=chat.max_new_tokens,
        temperature=chat.temperature,
        top_p=chat.top_p,
        stop=chat.stop,
        metrics=Metrics(),
    )


def build_public(settings: Settings, source: StatusSource, keys: Keys) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        source.monitor.start()
        keys.follower.start()
        try:
            yield
        finally:
            await keys.follower.stop()
            await source.monitor.stop()
            await source.chat_stream.aclose()
            await source.store.aclose()

    app = FastAPI(title="ChatStream", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(build_public_router(source.chat_stream, source.monitor))
    sessions = settings.sessions
    app.add_middleware(
        FasterSessionMiddleware,
        secret_key=keys.session,
        store=source.store,
        secure=sessions.cookie.secure,
        same_site=sessions.cookie.same_site,
        partitioned=sessions.cookie.partitioned,
        allowed_origins=sessions.allowed_origins,
        idle_timeout=sessions.idle_timeout,
        absolute_timeout=sessions.absolute_timeout,
        autoload=False,
    )
    return app


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
