"""The status: read what was observed, and say what it means. All pure."""

from chatstream_operator.status.build import build_invalid_status, build_status, build_status_patch
from chatstream_operator.status.observation import (
    MissingSecret,
    Observation,
    Probe,
    read_deployment,
    read_redis_ready,
)
from chatstream_operator.status.pods import PodView, read_pod

__all__ = [
    "MissingSecret",
    "Observation",
    "PodView",
    "Probe",
    "build_invalid_status",
    "build_status",
    "build_status_patch",
    "read_deployment",
    "read_pod",
    "read_redis_ready",
]
