"""The operator's own settings, from the environment (prefix CHATSTREAM_OPERATOR_)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PullPolicy = Literal["Always", "IfNotPresent", "Never"]
LogLevel = Literal["debug", "info", "warning", "error"]


class OperatorSettings(BaseSettings):
    """Every field has a default that works; images are those of the public registries."""

    model_config = SettingsConfigDict(env_prefix="CHATSTREAM_OPERATOR_", frozen=True, extra="ignore")

    server_image: str = Field(default="chatstream/server:0.1.0", min_length=1)
    """Image of the server, and of the engine of type Demo."""

    tgi_image: str = Field(default="ghcr.io/huggingface/text-generation-inference:3.3.6", min_length=1)
    """Image of the engine of type TGI, where the resource names none."""

    redis_image: str = Field(default="docker.io/library/redis:8.0", min_length=1)
    """Image of the managed Redis: `redis-server` and `redis-cli` on its path, a user 999."""

    image_pull_policy: PullPolicy = "IfNotPresent"
    """Pull policy of all containers that the operator makes."""

    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets, in each ChatStream's own namespace, for private registries. JSON list."""

    log_level: LogLevel = "info"
    """Logs of this level and above, as JSON lines on standard output."""

    resync_seconds: float = Field(default=30.0, ge=1.0, le=3600.0)
    """Seconds between two looks at everything, whether or not something changed."""

    workers: int = Field(default=4, ge=1, le=64)
    """Resources that are reconciled at the same time."""

    health_port: int = Field(default=8081, ge=0, le=65535)
    """Port of /healthz and /readyz. 0 takes a free one."""

    metrics_port: int = Field(default=9090, ge=0, le=65535)
    """Port of /metrics. 0 takes a free one."""

    request_timeout: float = Field(default=30.0, gt=0.0, le=300.0)
    """Seconds that one request to the API server may take."""

    watch_timeout: float = Field(default=300.0, ge=1.0, le=3600.0)
    """Seconds after which the API server ends a watch, and a new one begins."""
