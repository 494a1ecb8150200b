"""Permits, the queue and what runs: TGI's life of a request, with timers where it has a model."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from chatstream.engines.demo.plan import GENERATION_ERROR, Plan
from chatstream.engines.demo.script import Token
from chatstream.engines.demo.server.metrics import Metrics
from chatstream.engines.demo.server.request import Valid

_PREFILL: Final = 'method="prefill"'
_DECODE: Final = 'method="decode"'
_CALL_DURATIONS: Final = (
    "tgi_batch_forward_duration",
    "tgi_batch_decode_duration",
    "tgi_batch_filter_duration",
    "tgi_batch_inference_duration",
)
_MOST_AT_ONCE = 64
"""Tokens without a delay are sent in slices, so that one stream does not hold up the others."""

Phase = Literal["queued", "prefill", "streaming"]


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of one finished request."""

    total: float
    validation: float
    queue: float
    inference: float
    tokens: int

    @property
    def per_token(self) -> float:
        return self.inference / self.tokens


class Sink(Protocol):
    """Who waits for a job's tokens."""

    def tokens(self, first: int, tokens: tuple[Token, ...], end: Timings | None) -> None:
        """Token `first` (from 0) and those after it; `end` comes with the last one."""
        ...

    def failed(self, message: str) -> None: ...


@dataclass(slots=True, eq=False)
class Job:
    """One generation, from its permit to its end. Times are the monotonic clock's."""

    valid: Valid
    plan: Plan
    sink: Sink
    arrived: float
    permits: int = 1
    queued: float = 0.0
    started: float = 0.0
    sent: int = 0
    phase: Phase = "queued"
    over: bool = False
    timer: asyncio.Handle | None = None


@dataclass(slots=True)
class Stats:
    """What the demonstration tells beyond TGI's metrics."""

    running_max: int = 0
    dropped: int = 0
    requests: int = 0
    last_dropped_phase: Phase | None = None


@dataclass(slots=True)
class Batcher:
    """`max_batch_size` None: everything that has a permit runs."""

    metrics: Metrics
    max_concurrent_requests: int
    max_batch_size: int | None = None
    stats: Stats = field(default_factory=Stats)
    _permits_taken: int = 0
    _running: set[Job] = field(default_factory=set)
    _waiting: deque[Job] = field(default_factory=deque)

    def try_acquire(self, permits: int = 1) -> bool:
        """Take permits without waiting; they go with the job, or back through `release`."""
        if self._permits_taken + permits > self.max_concurrent_requests:
            self.metrics.count("tgi_request_failure", 'err="overloaded"')
            return False
        self._permits_taken += permits
        return True

    def release(self, permits: int = 1) -> None:
        self._permits_taken -= permits

    def submit(self, job: Job) -> None:
        """Run the job as soon as there is room in the batch."""
        job.queued = time.monotonic()
        self.stats.requests += 1
        self.metrics.record("tgi_request_input_length", job.valid.input_length)
        self.metrics.record("tgi_request_max_new_tokens", job.valid.max_new_tokens)
        self._waiting.append(job)
        self._fill()

    def cancel(self, job: Job) -> None:
        """The client has gone. In the model the sequence is in one more call, whose token nobody gets."""
        if job.over:
            return
        self.stats.dropped += 1
        self.stats.last_dropped_phase = job.phase
        self.metrics.count("tgi_request_failure", 'err="dropped"')
        if job.phase == "streaming":
            self._count_calls(_DECODE, job.plan.delay, 1)
        self._finish(job)

    def snapshot(self) -> dict[str, Any]:
        return {
            "running": len(self._running),
            "running_max": self.stats.running_max,
            "waiting": len(self._waiting),
            "dropped": self.stats.dropped,
            "requests": self.stats.requests,
            "last_dropped_phase": self.stats.last_dropped_phase,
        }

    def reset(self) -> None:
        """Forget the counts of the past; what runs and waits goes on."""
        self.stats = Stats(running_max=len(self._running))

    def _fill(self) -> None:
        while self._waiting and (self.max_batch_size is None or len(self._running) < self.max_batch_size):
            self._start(self._waiting.popleft())
        self._set_gauges()

    def _start(self, job: Job) -> None:
        job.phase = "prefill"
        job.started = time.monotonic()
        self._running.add(job)
        self.stats.running_max = max(self.stats.running_max, len(self._running))
        self.metrics.record("tgi_batch_next_size", 1)
        self._count_calls(_PREFILL, job.plan.prefill, 1)
        self._schedule(job)

    def _schedule(self, job: Job) -> None:
        """Wake up when the next token is due; a job that hangs is never woken."""
        if job.sent == len(job.plan.tokens) and job.plan.ending == "hang":
            return
        loop = asyncio.get_running_loop()
        wait = job.started + job.plan.due(job.sent) - time.monotonic()
        job.timer = loop.call_later(wait, self._step, job) if wait > 0 else loop.call_soon(self._step, job)

    def _step(self, job: Job) -> None:
        first, tokens, plan = job.sent, job.plan.tokens, job.plan
        if first == len(tokens):
            self._fail(job)
            return
        now = time.monotonic()
        stop = first + 1
        last = min(len(tokens), first + _MOST_AT_ONCE)
        while stop < last and job.started + plan.due(stop) <= now:
            stop += 1
        job.sent = stop
        self._count_tokens(job, stop - first)
        if stop == len(tokens) and plan.ending == "end":
            self._succeed(job, first, now)
            return
        job.sink.tokens(first, tokens[first:stop], None)
        self._schedule(job)

    def _count_tokens(self, job: Job, tokens: int) -> None:
        """The first token is the prefill's, each other one is a call of its own."""
        decoded = tokens if job.phase == "streaming" else tokens - 1
        job.phase = "streaming"
        self.metrics.skip_none(tokens)
        if decoded:
            self._count_calls(_DECODE, job.plan.delay, decoded)

    def _succeed(self, job: Job, first: int, now: float) -> None:
        end = Timings(
            total=now - job.arrived,
            validation=job.queued - job.arrived,
            queue=job.started - job.queued,
            inference=now - job.started,
            tokens=len(job.plan.tokens),
        )
        metrics = self.metrics
        metrics.count("tgi_request_success")
        metrics.record("tgi_request_duration", end.total)
        metrics.record("tgi_request_validation_duration", end.validation)
        metrics.record("tgi_request_queue_duration", end.queue)
        metrics.record("tgi_request_inference_duration", end.inference)
        metrics.record("tgi_request_mean_time_per_token_duration", end.per_token)
        metrics.record("tgi_request_generated_tokens", end.tokens)
        self._finish(job)
        job.sink.tokens(first, job.plan.tokens[first:], end)

    def _fail(self, job: Job) -> None:
        method = _DECODE if job.phase == "streaming" else _PREFILL
        self.metrics.count("tgi_batch_inference_failure", method)
        self.metrics.count("tgi_request_failure", 'err="generation"')
        self._finish(job)
        job.sink.failed(GENERATION_ERROR)

    def _finish(self, job: Job) -> None:
        """The one place where a job gives back what it holds."""
        job.over = True
        if job.timer is not None:
            job.timer.cancel()
        self.release(job.permits)
        if job.phase == "queued":
            self._waiting.remove(job)
        self._running.discard(job)
        self._fill()

    def _count_calls(self, method: str, seconds: float, calls: int) -> None:
        self.metrics.count("tgi_batch_inference_count", method, calls)
        self.metrics.count("tgi_batch_inference_success", method, calls)
        for name in _CALL_DURATIONS:
            self.metrics.record(name, seconds, method, calls)

    def _set_gauges(self) -> None:
        tokens = sum(job.valid.input_length + job.valid.max_new_tokens for job in self._running)
        self.metrics.gauge("tgi_queue_size", len(self._waiting))
        self.metrics.gauge("tgi_batch_current_size", len(self._running))
        self.metrics.gauge("tgi_batch_current_max_tokens", tokens)
