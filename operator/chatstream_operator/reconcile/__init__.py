"""Desired against applied: server-side apply, prune, report."""

from chatstream_operator.reconcile.metrics import Metrics
from chatstream_operator.reconcile.probes import HttpProber, Prober
from chatstream_operator.reconcile.queue import KeyQueue
from chatstream_operator.reconcile.reconciler import Reconciler, Tools, reason_of

__all__ = ["HttpProber", "KeyQueue", "Metrics", "Prober", "Reconciler", "Tools", "reason_of"]
