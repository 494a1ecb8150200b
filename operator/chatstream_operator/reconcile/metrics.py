"""What the operator counts, in a registry that the caller brings."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chatstream_operator.spec import Key

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONDITIONS = ("Ready", "Progressing", "EngineReady", "SessionsReady", "GPUScheduled", "Reconciled")


class Metrics:
    """One instance a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reconcile_seconds = Histogram(
            "chatstream_operator_reconcile_seconds",
            "Time of one reconciliation.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.reconcile_errors = Counter(
            "chatstream_operator_reconcile_errors",
            "Reconciliations that failed and are tried again.",
            ["reason"],
            registry=registry,
        )
        self._resources = Gauge(
            "chatstream_resources", "ChatStreams whose condition is true.", ["condition"], registry=registry
        )
        self._true: dict[Key, frozenset[str]] = {}
        self._refresh()

    def observe_conditions(self, key: Key, true: frozenset[str]) -> None:
        self._true[key] = true
        self._refresh()

    def forget(self, key: Key) -> None:
        self._true.pop(key, None)
        self._refresh()

    def _refresh(self) -> None:
        for condition in CONDITIONS:
            count = sum(condition in true for true in self._true.values())
            self._resources.labels(condition).set(count)
