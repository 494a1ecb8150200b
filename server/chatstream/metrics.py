"""The server's metrics, in a registry of their own; each instance of ChatStream has one.

Gauges of the load are read from admission at the scrape, so that they cannot drift from it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
TOKENS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)
WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
TURNS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
STORE_ERRORS = (
    "unreachable",
    "timeout",
    "busy",
    "denied",
    "certificate",
    "read_only",
    "full",
    "failed",
    "unavailable",
    "conflict",
    "invalid_data",
)
"""Why an operation of the session store failed. All are there from the start, so that alerts see a rise."""


class LoadFigures(Protocol):
    @property
    def processing(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def queue_limit(self) -> int: ...


class LocalHistogram(Collector):
    """A histogram for the relay path: of one thread, without locks, a tenth of the client library's cost."""

    def __init__(self, name: str, documentation: str, buckets: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._buckets = tuple(buckets)
        self._counts = [0] * (len(self._buckets) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._buckets, value)] += 1
        self._sum += value

    def collect(self) -> Iterable[HistogramMetricFamily]:
        total, buckets = 0, []
        for bound, count in zip((*map(str, self._buckets), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()

        def histogram(
            name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()
        ) -> Histogram:
            return Histogram(f"chatstream_{name}", text, labels, registry=registry, buckets=buckets)

        def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(f"chatstream_{name}", text, labels, registry=registry)

        self.queue_wait = histogram(
            "queue_wait_seconds", "From admission to the slot, or to leaving the queue without one", WAITS
        )
        self.time_to_first_token = histogram(
            "time_to_first_token_seconds",
            "From admission to the first token's leaving",
            WAITS,
        )
        self.turn_duration = histogram("turn_duration_seconds", "From admission to the turn's end", TURNS)
        self.disconnect_release = histogram(
            "disconnect_release_seconds", "From the client's going to the freeing of its slot", QUICK
        )
        self.session_store = histogram(
            "session_store_seconds", "Time that a session store's operation took", QUICK, ["operation"]
        )
        self.inter_token = LocalHistogram(
            "chatstream_inter_token_seconds", "Between two tokens of one stream as they came in", TOKENS
        )
        registry.register(self.inter_token)
        self.turns = counter("turns", "Accepted turns by the value their callback got", ["outcome"])
        self.disconnects = counter("disconnects", "Clients that left before their end", ["phase"])
        self.rejected = counter("rejected", "Requests refused before they became a turn", ["reason"])
        self.prompt_tokens = counter("prompt_tokens", "Tokens of prompts, as the engine counted them")
        self.generated_tokens = counter("generated_tokens", "Tokens that came from the engine")
        self.discarded_tokens = counter(
            "discarded_tokens", "Tokens that were generated in turns that did not succeed", ["outcome"]
        )
        self.session_store_errors = counter(
            "session_store_errors", "Failed operations of the session store", ["reason"]
        )
        for reason in STORE_ERRORS:
            self.session_store_errors.labels(reason)
        self.session_store_circuit = Gauge(
            "chatstream_session_store_circuit_open",
            "1 while the session store is not asked, for it did not answer lately",
            registry=registry,
        )
        self.insecure_cookies = counter(
            "insecure_cookies", "Turns over plain http although the session cookie is for https only"
        )
        self.engine_up = Gauge(
            "chatstream_engine_up", "1 while the engine calls itself healthy", registry=registry
        )

    def watch(self, load: Callable[[], LoadFigures]) -> None:
        """Export the load that `load` tells at each scrape."""

        def gauge(name: str, text: str, value: Callable[[], float]) -> None:
            Gauge(f"chatstream_{name}", text, registry=self.registry).set_function(value)

        gauge("generations_in_progress", "Slots that are taken", lambda: load().processing)
        gauge("generations_limit", "Slots that there are", lambda: load().limit)
        gauge("queue_length", "Requests that wait for a slot", lambda: load().waiting)
        gauge("queue_limit", "Places that the queue has", lambda: load().queue_limit)
