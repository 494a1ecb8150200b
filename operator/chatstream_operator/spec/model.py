"""The spec of a ChatStream, parsed and defaulted: what crds/chatstreams.chatstream.dev.yaml says, as types.

Field names are snake_case here and camelCase in the resource. Durations are seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from chatstream_operator.spec.durations import parse_duration

Seconds = Annotated[float, BeforeValidator(parse_duration)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Quantity = Annotated[str, Field(min_length=1, max_length=20)]
EngineType = Literal["TGI", "Demo"]
Template = Literal["ChatML", "Llama3", "Plain"]
SameSite = Literal["Lax", "Strict", "None"]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=False, extra="ignore", strict=True
    )


class SecretKeyRef(_Part):
    name: ObjectName
    key: ObjectName


class Cache(_Part):
    size: Quantity
    storage_class_name: ObjectName | None = None
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] = "ReadWriteOnce"


class Model(_Part):
    id: str = Field(min_length=1, max_length=200)
    revision: str | None = Field(default=None, min_length=1, max_length=100)
    token_secret_ref: SecretKeyRef | None = None
    cache: Cache | None = None


class Gpu(_Part):
    count: int | None = Field(default=None, ge=0, le=16)
    resource_name: str = Field(default="nvidia.com/gpu", max_length=200)


class EnvVar(_Part):
    name: str = Field(min_length=1, max_length=64)
    value: str = Field(max_length=4096)


class Engine(_Part):
    type: EngineType = "TGI"
    image: str | None = Field(default=None, min_length=1, max_length=500)
    gpu: Gpu = Field(default_factory=Gpu)
    max_input_tokens: int = Field(default=4096, ge=1, le=1048576)
    max_total_tokens: int = Field(default=8192, ge=2, le=1048576)
    env: list[EnvVar] = Field(default_factory=list, max_length=64)


class Concurrency(_Part):
    max_concurrent: int = Field(default=16, ge=1, le=1024)
    max_queued: int = Field(default=64, ge=0, le=10000)
    queue_timeout: Seconds = Field(default=30.0, ge=1.0, le=3600.0)
    max_per_session: int = Field(default=1, ge=1, le=1)


class Redis(_Part):
    url_secret_ref: SecretKeyRef | None = None
    ca_secret_ref: SecretKeyRef | None = None
    storage_size: Quantity | None = None
    storage_class_name: ObjectName | None = None


class Cookie(_Part):
    secure: bool = True
    same_site: SameSite = "Lax"
    partitioned: bool = False


class Sessions(_Part):
    store: Literal["Redis", "Memory"] = "Redis"
    redis: Redis | None = None
    idle_timeout: Seconds = Field(default=86400.0, ge=60.0, le=2592000.0)
    allowed_origins: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(
        default_factory=list, max_length=32
    )
    encrypt: bool = False
    cookie: Cookie = Field(default_factory=Cookie)
    retain: bool = False


class Chat(_Part):
    system_prompt: str | None = Field(default=None, max_length=32768)
    template: Template | None = None
    max_turns: int = Field(default=50, ge=1, le=1000)
    max_new_tokens: int = Field(default=1024, ge=1, le=131072)
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    stop: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default_factory=list, max_length=4
    )


class Drain(_Part):
    timeout: Seconds = Field(default=300.0, ge=1.0, le=3600.0)


class Spec(_Part):
    """What is wanted. Absent values that depend on others are resolved by spec.resource.ChatStream."""

    model: Model | None = None
    engine: Engine = Field(default_factory=Engine)
    replicas: int = Field(default=1, ge=0, le=100)
    concurrency: Concurrency = Field(default_factory=Concurrency)
    sessions: Sessions = Field(default_factory=Sessions)
    chat: Chat = Field(default_factory=Chat)
    drain: Drain = Field(default_factory=Drain)
