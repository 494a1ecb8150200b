"""The server's settings: a file (YAML or JSON) under the environment, CHATSTREAM_ and `__` between levels.

Every field says its default, its unit and how to switch it off. Times are in seconds.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from fastersession.csrf import OriginCheck

Seconds = Annotated[float, Field(gt=0)]
CONFIG_VARIABLE = "CHATSTREAM_CONFIG"


class ConfigurationError(ValueError):
    """The settings cannot be used; the message names the place and the remedy."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineSettings(Part):
    type: Literal["tgi", "demo"] = "tgi"
    """`demo` generates in this process, without a model."""
    url: str = "http://127.0.0.1:3000"
    """Where TGI answers, without a path."""
    api_key: SecretStr | None = None
    """Sent as a bearer token. null: none is sent."""
    connect_timeout: Seconds = 5
    """For the connection to the engine."""
    first_token_timeout: Seconds = 120
    """From the request to its first token."""
    idle_timeout: Seconds = 60
    """Longest silence between two tokens."""


class ConcurrencySettings(Part):
    max_concurrent: Annotated[int, Field(ge=1)] = 2
    """Generations at the same time."""
    max_queued: Annotated[int, Field(ge=0)] = 5
    """0: nobody waits."""
    queue_timeout: Seconds = 30
    """Longest wait for a slot."""


class CookieSettings(Part):
    secure: bool = True
    """The cookie goes over https only. false: for plain http, in development."""
    same_site: Literal["lax", "strict", "none"] = "lax"
    """With whose requests browsers send the cookie; none needs secure."""
    partitioned: bool = False
    """A cookie for each site that embeds the chat (with same_site none); needs secure."""

    @model_validator(mode="after")
    def what_needs_secure(self) -> Self:
        if self.same_site == "none" and not self.secure:
            raise ValueError("same_site none needs secure true: browsers refuse such a cookie otherwise")
        if self.partitioned and not self.secure:
            raise ValueError("partitioned needs secure true: browsers refuse such a cookie otherwise")
        return self


class SessionSettings(Part):
    store: Literal["memory", "redis"] = "memory"
    """memory is of this process alone and dies with it."""
    redis_url: str | None = None
    """For store redis: redis://[user:password@]host:port/number (rediss:// with TLS), unix:///path,
    redis+sentinel://host:port,host:port/service/number or redis+cluster://host:port,host:port (both with
    rediss+ too)."""
    redis_password: SecretStr | None = None
    """For a URL that holds none."""
    redis_ca_file: Path | None = None
    """PEM file of those who may have signed Redis' certificate, with TLS. null: whom the system trusts."""
    secret_keys: list[SecretStr] = []
    """The first signs cookies, every one verifies; each of at least 16 bytes. There is no default."""
    secret_keys_file: Path | None = None
    """In place of secret_keys: a JSON list of them, read again every 5 s, so that keys change without a
    restart."""
    encryption_keys: list[SecretStr] = []
    """Encrypt what is stored: the first encrypts, every one decrypts; each of at least 16 bytes. []: no
    encryption."""
    encryption_keys_file: Path | None = None
    """In place of encryption_keys: a JSON list of them, read again every 5 s."""
    allowed_origins: list[str] = []
    """Other origins whose pages may send turns and delete conversations, each scheme://host[:port]; our own
    may anyway."""
    idle_timeout: Seconds = 86_400
    """How long a session lives without a request."""
    absolute_timeout: Seconds = 2_592_000
    """How long a session lives however much it is used."""
    cookie: CookieSettings = CookieSettings()

    @field_validator("secret_keys", "encryption_keys")
    @classmethod
    def long_enough(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for number, key in enumerate(keys):
            if len(key.get_secret_value().encode()) < 16:
                raise ValueError(f"key {number} has fewer than 16 bytes")
        return keys

    @field_validator("allowed_origins")
    @classmethod
    def are_origins(cls, origins: list[str]) -> list[str]:
        OriginCheck(origins)
        return origins

    @model_validator(mode="after")
    def one_place_for_keys(self) -> Self:
        for keys, file, name in (
            (self.secret_keys, self.secret_keys_file, "secret_keys"),
            (self.encryption_keys, self.encryption_keys_file, "encryption_keys"),
        ):
            if keys and file is not None:
                raise ValueError(f"{name} and {name}_file are both set: keys come from one place")
        return self

    @model_validator(mode="after")
    def redis_needs_url(self) -> Self:
        if self.store == "redis" and not self.redis_url:
            raise ValueError("store redis needs redis_url (CHATSTREAM_SESSIONS__REDIS_URL)")
        if self.redis_ca_file is not None and not (self.redis_url or "").startswith("rediss"):
            raise ValueError("redis_ca_file needs a redis_url with TLS, as rediss://")
        return self


class ChatSettings(Part):
    system_prompt: str | None = None
    """Stands before every conversation. null: none does."""
    template: Literal["chatml", "llama3", "plain"] = "chatml"
    """How messages become a prompt: as the model was trained."""
    max_turns: Annotated[int, Field(ge=1)] = 50
    """Older turns are forgotten."""
    max_input_tokens: Annotated[int, Field(ge=1)] = 4096
    """Of a prompt: older turns are left out of a longer one."""
    max_total_tokens: Annotated[int, Field(ge=2)] = 8192
    """Of a prompt and its reply together."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024
    """Of a reply."""
    temperature: Annotated[float | None, Field(gt=0)] = None
    """null: the engine's default."""
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    """null: the engine's default."""
    stop: list[str] = []
    """Strings that end a reply and are never shown, beside the template's own."""

    @model_validator(mode="after")
    def room_for_input(self) -> Self:
        if self.max_new_tokens >= self.max_total_tokens:
            raise ValueError("max_new_tokens must be below max_total_tokens: the input needs room too")
        return self


class DrainSettings(Part):
    timeout: Seconds = 300
    """How long open streams may go on after SIGTERM."""


class LimitSettings(Part):
    """What no client and no part may exceed."""

    body_bytes: Annotated[int, Field(ge=1024)] = 65_536
    """Of a request."""
    body_timeout: Seconds = 10
    """For the whole request body."""
    write_timeout: Seconds = 30
    """A reader that takes nothing for so long loses its turn."""
    turn_timeout: Seconds = 600
    """From the slot to the last token."""
    keep_alive: Seconds = 10
    """Silence after which a comment is sent."""
    callback_timeout: Seconds = 10
    """For the callback at a turn's end; it holds no slot."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="CHATSTREAM_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    host: str = "127.0.0.1"
    """The address to listen on, of both ports."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """For the clients. 0: any free one."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 9090
    """0: no metrics server."""
    trusted_proxies: list[str] = ["127.0.0.1"]
    """Addresses and networks whose X-Forwarded-Proto and -For are believed; ["*"] believes everyone."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lines below it are left out."""
    engine: EngineSettings = EngineSettings()
    concurrency: ConcurrencySettings = ConcurrencySettings()
    sessions: SessionSettings = SessionSettings()
    chat: ChatSettings = ChatSettings()
    drain: DrainSettings = DrainSettings()
    limits: LimitSettings = LimitSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over what is passed in: that is the file."""
        return env_settings, init_settings


def load_settings(path: Path | None = None) -> Settings:
    """The file at `path` (else named by CHATSTREAM_CONFIG, else none) under the environment.

    Raises ConfigurationError with every fault on a line of its own; no value is repeated in it.
    """
    named = path or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    try:
        return Settings(**(read_file(named) if named else {}))
    except ValidationError as error:
        faults = [
            f"  {'.'.join(map(str, fault['loc'])) or '(top)'}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        origin = f" of {named}" if named else ""
        raise ConfigurationError("\n".join([f"the settings{origin} are wrong:", *faults])) from None
    except SettingsError as error:
        raise ConfigurationError(f"a setting of the environment is no JSON: {error}") from None


def read_file(path: Path) -> dict[str, Any]:
    """A mapping from a YAML file (JSON is YAML too). Raises ConfigurationError."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"the settings file {path} cannot be read: {error}") from None
    if not isinstance(content, dict | None):
        raise ConfigurationError(f"the settings file {path} must hold a mapping")
    return content or {}
