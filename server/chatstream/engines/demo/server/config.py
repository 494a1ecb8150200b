"""The same flags and environment names as TGI's launcher, and what the demonstration makes of them.

What only a real engine can use is accepted and not looked at, so that one pod specification fits both.
"""

import argparse
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chatstream.engines.demo.limits import Limits
from chatstream.engines.demo.server.request import RequestLimits

SCRIPT_VARIABLE: Final = "CHATSTREAM_DEMO_SCRIPT"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Port 0 takes any free one. Sizes are in bytes, times in seconds."""

    hostname: str = "0.0.0.0"  # noqa: S104
    port: int = 3000
    model_id: str = "chatstream/demo"
    api_key: str | None = None
    compute_type: str = "gpu+optimized"
    limits: RequestLimits = field(default_factory=RequestLimits)
    max_concurrent_requests: int = 128
    max_batch_size: int | None = None
    max_client_batch_size: int = 4
    validation_workers: int = 2
    payload_limit: int = 2_000_000
    graceful_termination_timeout: float = 90.0
    script: Path | None = None


def _unsigned(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("invalid digit found in string")
    return int(text)


def _port(text: str) -> int:
    value = _unsigned(text)
    if value > 65535:
        raise ValueError(f"{value} is not in 0..=65535")
    return value


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("possible values: true, false")
    return text == "true"


def _switch(text: str) -> bool:
    """A flag without a value; in the environment everything that does not say no turns it on."""
    return text.lower() not in ("", "n", "no", "f", "false", "off", "0")


# Every option of the launcher, by its environment name; the flag is the same word in kebab case.
OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "MODEL_ID": str,
    "REVISION": str,
    "VALIDATION_WORKERS": _unsigned,
    "SHARDED": _boolean,
    "NUM_SHARD": _unsigned,
    "QUANTIZE": str,
    "SPECULATE": _unsigned,
    "DTYPE": str,
    "KV_CACHE_DTYPE": str,
    "TRUST_REMOTE_CODE": _switch,
    "MAX_CONCURRENT_REQUESTS": _unsigned,
    "MAX_BEST_OF": _unsigned,
    "MAX_STOP_SEQUENCES": _unsigned,
    "MAX_TOP_N_TOKENS": _unsigned,
    "MAX_INPUT_TOKENS": _unsigned,
    "MAX_INPUT_LENGTH": _unsigned,
    "MAX_TOTAL_TOKENS": _unsigned,
    "WAITING_SERVED_RATIO": float,
    "MAX_BATCH_PREFILL_TOKENS": _unsigned,
    "MAX_BATCH_TOTAL_TOKENS": _unsigned,
    "MAX_WAITING_TOKENS": _unsigned,
    "MAX_BATCH_SIZE": _unsigned,
    "CUDA_GRAPHS": str,
    "HOSTNAME": str,
    "PORT": _port,
    "PROMETHEUS_PORT": _port,
    "SHARD_UDS_PATH": str,
    "MASTER_ADDR": str,
    "MASTER_PORT": _unsigned,
    "HUGGINGFACE_HUB_CACHE": str,
    "WEIGHTS_CACHE_OVERRIDE": str,
    "DISABLE_CUSTOM_KERNELS": _switch,
    "CUDA_MEMORY_FRACTION": float,
    "ROPE_SCALING": str,
    "ROPE_FACTOR": float,
    "JSON_OUTPUT": _switch,
    "OTLP_ENDPOINT": str,
    "OTLP_SERVICE_NAME": str,
    "CORS_ALLOW_ORIGIN": str,
    "API_KEY": str,
    "WATERMARK_GAMMA": float,
    "WATERMARK_DELTA": float,
    "NGROK": _switch,
    "NGROK_AUTHTOKEN": str,
    "NGROK_EDGE": str,
    "TOKENIZER_CONFIG_PATH": str,
    "DISABLE_GRAMMAR_SUPPORT": _switch,
    "MAX_CLIENT_BATCH_SIZE": _unsigned,
    "LORA_ADAPTERS": str,
    "USAGE_STATS": str,
    "PAYLOAD_LIMIT": _unsigned,
    "ENABLE_PREFILL_LOGPROBS": _switch,
    "GRACEFUL_TERMINATION_TIMEOUT": _unsigned,
}


def load_config(arguments: Sequence[str], environ: Mapping[str, str]) -> ServerConfig:
    """Flags win over the environment. A wrong value or an unknown flag ends the process with status 2."""
    parser = _build_parser()
    given = parser.parse_args(arguments)
    values = {name: _value(parser, name, given, environ) for name in OPTIONS}
    if values["MAX_INPUT_TOKENS"] is not None and values["MAX_INPUT_LENGTH"] is not None:
        parser.error("both `max_input_tokens` and `max_input_length` are set: set only `max_input_tokens`")
    try:
        return _build_config(values, environ)
    except ValueError as error:
        parser.error(str(error))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chatstream demo-engine",
        description="A demonstration engine that speaks TGI's protocol and takes its options.",
        epilog=f"{SCRIPT_VARIABLE} names a JSON file that says what it answers.",
        allow_abbrev=False,
    )
    for name, kind in OPTIONS.items():
        flags = ("-p", _flag(name)) if name == "PORT" else (_flag(name),)
        if kind is _switch:
            parser.add_argument(*flags, dest=name, action="store_const", const="true")
        else:
            parser.add_argument(*flags, dest=name, metavar=name)
    return parser


def _flag(name: str) -> str:
    return f"--{name.lower().replace('_', '-')}"


def _value(
    parser: argparse.ArgumentParser, name: str, given: argparse.Namespace, environ: Mapping[str, str]
) -> Any:  # noqa: ANN401
    text = getattr(given, name)
    text = environ.get(name) if text is None else text
    if text is None:
        return None
    try:
        return OPTIONS[name](text)
    except ValueError as error:
        parser.error(f"invalid value '{text}' for '{_flag(name)} <{name}>': {error}")


def _build_config(values: Mapping[str, Any], environ: Mapping[str, str]) -> ServerConfig:
    script = environ.get(SCRIPT_VARIABLE)
    return ServerConfig(
        hostname=_address(_or(values, "HOSTNAME", "0.0.0.0")),  # noqa: S104
        port=_or(values, "PORT", 3000),
        model_id=_or(values, "MODEL_ID", "chatstream/demo"),
        api_key=values["API_KEY"],
        compute_type=environ.get("COMPUTE_TYPE", "gpu+optimized"),
        limits=RequestLimits(
            _lengths(values),
            _or(values, "MAX_BEST_OF", 2),
            _or(values, "MAX_STOP_SEQUENCES", 4),
            _or(values, "MAX_TOP_N_TOKENS", 5),
        ),
        max_concurrent_requests=_or(values, "MAX_CONCURRENT_REQUESTS", 128),
        max_batch_size=values["MAX_BATCH_SIZE"],
        max_client_batch_size=_or(values, "MAX_CLIENT_BATCH_SIZE", 4),
        validation_workers=_or(values, "VALIDATION_WORKERS", 2),
        payload_limit=_or(values, "PAYLOAD_LIMIT", 2_000_000),
        graceful_termination_timeout=float(_or(values, "GRACEFUL_TERMINATION_TIMEOUT", 90)),
        script=Path(script) if script else None,
    )


def _lengths(values: Mapping[str, Any]) -> Limits:
    """One limit follows from the other where only one is given; the input must be the smaller one."""
    default = Limits()
    most_input, most = values["MAX_INPUT_TOKENS"] or values["MAX_INPUT_LENGTH"], values["MAX_TOTAL_TOKENS"]
    if most_input is None:
        most_input = default.max_input_tokens if most is None else min(default.max_input_tokens, most - 1)
    if most is None:
        most = max(default.max_total_tokens, most_input + 1)
    if not 0 < most_input < most:
        raise ValueError("`max_input_tokens` must be > 0 and < `max_total_tokens`")
    return Limits(most_input, most)


def _or(values: Mapping[str, Any], name: str, default: Any) -> Any:  # noqa: ANN401
    return default if values[name] is None else values[name]


def _address(hostname: str) -> str:
    """Kubernetes sets HOSTNAME to the pod's name: what is no address means all of them, as with TGI."""
    try:
        return str(ipaddress.ip_address(hostname))
    except ValueError:
        return "0.0.0.0"  # noqa: S104
