"""TGI's metrics, in its exporter's format: a series appears with its first event, in its section's order."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

_DURATION_BUCKETS: Final = tuple(
    accumulate([0.0001 * 1.5] + [1.5] * 34, lambda value, factor: value * factor)
)
_BATCH_SIZE_BUCKETS: Final = tuple(float(size) for size in range(1, 1025))
_QUANTILES: Final = ("0", "0.5", "0.9", "0.95", "0.99", "0.999", "1")
_HELP: Final = {
    "tgi_request_count": "Total number of requests",
    "tgi_request_success": "Number of successful requests",
    "tgi_batch_inference_count": "Inference calls per method (prefill or decode)",
    "tgi_batch_inference_success": "Number of successful inference calls per method (prefill or decode)",
    "tgi_batch_inference_failure": "Number of failed inference calls per method (prefill or decode)",
    "tgi_queue_size": "Current queue size",
    "tgi_batch_current_size": "Current batch size",
    "tgi_batch_current_max_tokens": "Maximum tokens for the current batch",
    "tgi_request_skipped_tokens": "Speculated tokens per request",
    "tgi_request_duration": "Request duration",
    "tgi_request_validation_duration": "Request validation duration",
    "tgi_request_queue_duration": "Request queue duration",
    "tgi_request_inference_duration": "Request inference duration",
    "tgi_request_mean_time_per_token_duration": "Mean time per token per request",
    "tgi_request_generated_tokens": "Generated tokens per request",
    "tgi_request_input_length": "Input token length per request",
    "tgi_request_max_new_tokens": "Maximum new tokens per request",
    "tgi_batch_next_size": "Batch size of the next batch",
    "tgi_batch_inference_duration": "Batch inference duration",
    "tgi_batch_forward_duration": "Batch forward duration per method (prefill or decode)",
    "tgi_batch_decode_duration": "Time spent decoding a batch per method (prefill or decode)",
    "tgi_batch_filter_duration": "Time spent filtering batches and sending generated tokens per method "
    "(prefill or decode)",
}
SKIPPED_TOKENS: Final = "tgi_request_skipped_tokens"


@dataclass(slots=True)
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int]
    sum: float = 0.0

    def record(self, value: float, times: int) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def lines(self, name: str, labels: str) -> Iterator[str]:
        prefix = f"{labels}," if labels else ""
        edges = [*map(_number, self.bounds), "+Inf"]
        total = 0
        for edge, count in zip(edges, self.counts, strict=True):
            total += count
            yield f'{name}_bucket{{{prefix}le="{edge}"}} {total}'
        braced = _braced(labels)
        yield f"{name}_sum{braced} {_number(self.sum)}"
        yield f"{name}_count{braced} {total}"


@dataclass(slots=True)
class Metrics:
    """`labels` are already written, as `method="decode"`. Durations are in seconds."""

    max_input_tokens: int
    max_total_tokens: int
    _counters: dict[str, dict[str, int]] = field(default_factory=dict)
    _gauges: dict[str, float] = field(default_factory=dict)
    _histograms: dict[str, dict[str, _Histogram]] = field(default_factory=dict)
    _skipped: int = 0

    def count(self, name: str, labels: str = "", times: int = 1) -> None:
        series = self._counters.setdefault(name, {})
        series[labels] = series.get(labels, 0) + times

    def gauge(self, name: str, value: float) -> None:
        self._gauges[name] = value

    def record(self, name: str, value: float, labels: str = "", times: int = 1) -> None:
        series = self._histograms.setdefault(name, {})
        histogram = series.get(labels)
        if histogram is None:
            bounds = self._bounds(name)
            histogram = series[labels] = _Histogram(bounds, [0] * (len(bounds) + 1))
        histogram.record(value, times)

    def skip_none(self, tokens: int) -> None:
        """Count tokens, none of which was speculated."""
        self._skipped += tokens

    def render(self) -> str:
        return "".join(f"{line}\n" for line in self._lines())

    def _bounds(self, name: str) -> tuple[float, ...]:
        if name == "tgi_batch_next_size":
            return _BATCH_SIZE_BUCKETS
        if name == "tgi_request_input_length":
            return _linear(self.max_input_tokens)
        if name in ("tgi_request_max_new_tokens", "tgi_request_generated_tokens"):
            return _linear(self.max_total_tokens)
        return _DURATION_BUCKETS

    def _lines(self) -> Iterator[str]:
        for name, counters in self._counters.items():
            yield from _header(name, "counter")
            for labels, value in counters.items():
                yield f"{name}{_braced(labels)} {value}"
            yield ""
        for name, number in self._gauges.items():
            yield from _header(name, "gauge")
            yield f"{name} {_number(number)}"
            yield ""
        if self._skipped:
            yield from self._skipped_lines()
        for name, histograms in self._histograms.items():
            yield from _header(name, "histogram")
            for labels, histogram in histograms.items():
                yield from histogram.lines(name, labels)
            yield ""

    def _skipped_lines(self) -> Iterator[str]:
        yield from _header(SKIPPED_TOKENS, "summary")
        for quantile in _QUANTILES:
            yield f'{SKIPPED_TOKENS}{{quantile="{quantile}"}} 0'
        yield f"{SKIPPED_TOKENS}_sum 0"
        yield f"{SKIPPED_TOKENS}_count {self._skipped}"
        yield ""


def _linear(most: int) -> tuple[float, ...]:
    return tuple(most / 100 * (step + 1) for step in range(100))


def _header(name: str, kind: str) -> Iterator[str]:
    if name in _HELP:
        yield f"# HELP {name} {_HELP[name]}"
    yield f"# TYPE {name} {kind}"


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _number(value: float) -> str:
    """The shortest digits that mean this number, never with an exponent and without a needless fraction."""
    text = repr(float(value))
    if "e" in text:
        text = f"{value:.20f}".rstrip("0")
    return text.removesuffix(".0").removesuffix(".")
