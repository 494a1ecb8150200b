"""The routes: TGI's, and the demonstration's own under /_demo."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from chatstream.engines.demo.plan import Plan, build_plan
from chatstream.engines.demo.script import Script
from chatstream.engines.demo.server import answers
from chatstream.engines.demo.server.batcher import Batcher, Job
from chatstream.engines.demo.server.config import ServerConfig
from chatstream.engines.demo.server.metrics import Metrics
from chatstream.engines.demo.server.request import (
    Asked,
    Refused,
    Valid,
    check_best_of,
    check_streamable,
    parse_compat_request,
    parse_request,
    validate,
)
from chatstream.engines.demo.server.serde import SerdeError
from chatstream.engines.demo.server.sinks import StreamSink, WholeSink

_ROUTER_VERSION: Final = "3.3.6-dev0"
_ROUTER_SHA: Final = "db931fcf42da018a3657580c64bf2720f167f9ab"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, read to its end. Header names are lower case; `path` is without the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    too_large: bool = False


class Exchange(Protocol):
    """The answering side of one request. It ends with `finish`; `job` is cancelled when the client goes."""

    job: Job | None

    def send(self, data: bytes) -> None: ...

    def finish(self, data: bytes) -> None: ...


Handler = Callable[[HttpRequest, Exchange], None]


class App:
    """One demonstration engine, without its connections."""

    def __init__(self, config: ServerConfig, script: Script) -> None:
        self._config = config
        self._script = script
        self._tokenizer = script.tokenizer()
        lengths = config.limits.lengths
        self._metrics = Metrics(lengths.max_input_tokens, lengths.max_total_tokens)
        self._batcher = Batcher(self._metrics, config.max_concurrent_requests, config.max_batch_size)
        self._authorization = f"bearer {config.api_key}".lower() if config.api_key else None
        health = {"GET": self._health, "HEAD": self._health}
        self._routes: Mapping[str, Mapping[str, Handler]] = {
            "/": {"POST": self._compat, **health},
            "/generate": {"POST": self._generate},
            "/generate_stream": {"POST": self._generate_stream},
            "/tokenize": {"POST": self._tokenize},
            "/health": health,
            "/ping": health,
            "/info": {"GET": self._info},
            "/metrics": {"GET": self._show_metrics},
            "/_demo/stats": {"GET": self._stats},
            "/_demo/reset": {"POST": self._reset},
        }

    def handle(self, request: HttpRequest, exchange: Exchange) -> None:
        """Answer, at once or when the tokens come."""
        route = self._routes.get(request.path)
        if route is None:
            exchange.finish(answers.build_answer(404))
        elif self._is_protected(request) and not self._is_authorized(request):
            exchange.finish(answers.build_answer(401))
        elif request.method not in route:
            allowed = "GET,HEAD" if "GET" in route else "POST"
            exchange.finish(answers.build_answer(405, late=(("allow", allowed),)))
        else:
            route[request.method](request, exchange)

    def cancel(self, job: Job) -> None:
        self._batcher.cancel(job)

    def _is_protected(self, request: HttpRequest) -> bool:
        if request.path == "/":
            return request.method == "POST"
        return request.path in ("/generate", "/generate_stream", "/tokenize")

    def _is_authorized(self, request: HttpRequest) -> bool:
        # TGI compares without regard to case, which is kept so that clients see no difference.
        return self._authorization in (None, request.headers.get("authorization", "").lower())

    def _health(self, request: HttpRequest, exchange: Exchange) -> None:
        exchange.finish(answers.build_answer(200))

    def _info(self, request: HttpRequest, exchange: Exchange) -> None:
        config = self._config
        info = {
            "model_id": config.model_id,
            "model_sha": None,
            "model_pipeline_tag": None,
            "max_concurrent_requests": config.max_concurrent_requests,
            "max_best_of": config.limits.max_best_of,
            "max_stop_sequences": config.limits.max_stop_sequences,
            "max_input_tokens": config.limits.lengths.max_input_tokens,
            "max_total_tokens": config.limits.lengths.max_total_tokens,
            "validation_workers": config.validation_workers,
            "max_client_batch_size": config.max_client_batch_size,
            "router": "text-generation-router",
            "version": _ROUTER_VERSION,
            "sha": _ROUTER_SHA,
            "docker_label": None,
        }
        exchange.finish(answers.build_answer(200, answers.compact(info), (answers.JSON,)))

    def _show_metrics(self, request: HttpRequest, exchange: Exchange) -> None:
        exchange.finish(answers.build_answer(200, self._metrics.render(), (answers.TEXT,)))

    def _stats(self, request: HttpRequest, exchange: Exchange) -> None:
        stats = answers.compact(self._batcher.snapshot())
        exchange.finish(answers.build_answer(200, stats, (answers.JSON,)))

    def _reset(self, request: HttpRequest, exchange: Exchange) -> None:
        self._batcher.reset()
        exchange.finish(answers.build_answer(200))

    def _tokenize(self, request: HttpRequest, exchange: Exchange) -> None:
        asked = _read(request, exchange, parse_request)
        if asked is None:
            return
        tokens = self._tokenizer.encode(asked.inputs)
        body = [{"id": t.id, "text": t.text, "start": t.start, "stop": t.stop} for t in tokens]
        exchange.finish(answers.build_answer(200, answers.compact(body), (answers.JSON,)))

    def _compat(self, request: HttpRequest, exchange: Exchange) -> None:
        asked = _read(request, exchange, parse_compat_request)
        if asked is None:
            return
        if asked.stream:
            self._stream(asked, exchange)
        else:
            self._whole(asked, exchange, in_list=True)

    def _generate(self, request: HttpRequest, exchange: Exchange) -> None:
        asked = _read(request, exchange, parse_request)
        if asked is not None:
            self._whole(asked, exchange, in_list=False)

    def _generate_stream(self, request: HttpRequest, exchange: Exchange) -> None:
        asked = _read(request, exchange, parse_request)
        if asked is not None:
            self._stream(asked, exchange)

    def _whole(self, asked: Asked, exchange: Exchange, *, in_list: bool) -> None:
        arrived = time.monotonic()
        self._metrics.count("tgi_request_count")
        try:
            check_best_of(asked, self._config.limits)
            valid = self._admit(asked, asked.best_of)
        except Refused as refused:
            exchange.finish(answers.build_error(422, str(refused), "validation"))
            return
        if valid is None:
            exchange.finish(answers.build_error(429, "Model is overloaded", "overloaded"))
            return
        plan = self._plan(valid)
        sink = WholeSink(asked, valid, plan, exchange.finish, self._config.compute_type, in_list=in_list)
        exchange.job = Job(valid, plan, sink, arrived, permits=asked.best_of)
        self._batcher.submit(exchange.job)

    def _stream(self, asked: Asked, exchange: Exchange) -> None:
        """The head leaves before anything is checked: refusals are events."""
        arrived = time.monotonic()
        self._metrics.count("tgi_request_count")
        exchange.send(answers.build_stream_head(self._config.compute_type, len(asked.inputs)))
        try:
            check_streamable(asked)
            valid = self._admit(asked, 1)
        except Refused as refused:
            self._refuse_stream(exchange, str(refused), "validation")
            return
        if valid is None:
            self._refuse_stream(exchange, "Model is overloaded", "overloaded")
            return
        plan = self._plan(valid)
        sink = StreamSink(asked, valid, plan, exchange.send, exchange.finish)
        exchange.job = Job(valid, plan, sink, arrived)
        self._batcher.submit(exchange.job)

    def _refuse_stream(self, exchange: Exchange, message: str, kind: str) -> None:
        event = answers.build_event({"error": message, "error_type": kind})
        exchange.finish(event + answers.LAST_CHUNK)

    def _admit(self, asked: Asked, permits: int) -> Valid | None:
        """Permits first, then validation, as TGI does it. None: no permits. Raises Refused."""
        if not self._batcher.try_acquire(permits):
            return None
        try:
            return validate(asked, self._config.limits, self._tokenizer)
        except Refused:
            self._batcher.release(permits)
            self._metrics.count("tgi_request_failure", 'err="validation"')
            raise

    def _plan(self, valid: Valid) -> Plan:
        return build_plan(self._script, valid.inputs, max_new_tokens=valid.reachable_tokens, stop=valid.stop)


def _read(request: HttpRequest, exchange: Exchange, parse: Callable[[bytes], Asked]) -> Asked | None:
    """What is asked, or None after the refusal of a body that cannot be understood."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        _refuse_text(exchange, 415, "Expected request with `Content-Type: application/json`")
    elif request.too_large:
        _refuse_text(exchange, 413, "Failed to buffer the request body: length limit exceeded")
    else:
        try:
            return parse(request.body)
        except SerdeError as error:
            if error.data:
                prefix = "Failed to deserialize the JSON body into the target type"
                _refuse_text(exchange, 422, f"{prefix}: {error}")
            else:
                _refuse_text(exchange, 400, f"Failed to parse the request body as JSON: {error}")
    return None


def _refuse_text(exchange: Exchange, status: int, message: str) -> None:
    exchange.finish(answers.build_answer(status, message, (answers.TEXT,)))
