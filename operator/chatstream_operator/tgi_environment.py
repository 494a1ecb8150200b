"""Names that text-generation-inference (v3.3.7) reads from its environment.

Read in the launcher's source. Each name in FLAGS is also a flag in kebab case (MODEL_ID is --model-id); the
value is the launcher's default, None where it has none or derives it.
"""

from __future__ import annotations

from collections.abc import Mapping

FLAGS: Mapping[str, str | None] = {
    "MODEL_ID": "bigscience/bloom-560m",
    "REVISION": None,
    "NUM_SHARD": None,
    "SHARDED": None,
    "QUANTIZE": None,
    "DTYPE": None,
    "KV_CACHE_DTYPE": None,
    "SPECULATE": None,
    "MAX_CONCURRENT_REQUESTS": "128",
    "MAX_INPUT_TOKENS": None,
    "MAX_INPUT_LENGTH": None,
    "MAX_TOTAL_TOKENS": None,
    "MAX_BATCH_PREFILL_TOKENS": None,
    "MAX_BATCH_TOTAL_TOKENS": None,
    "MAX_BATCH_SIZE": None,
    "WAITING_SERVED_RATIO": "0.3",
    "MAX_WAITING_TOKENS": "20",
    "MAX_CLIENT_BATCH_SIZE": "4",
    "MAX_BEST_OF": "2",
    "MAX_STOP_SEQUENCES": "4",
    "MAX_TOP_N_TOKENS": "5",
    "VALIDATION_WORKERS": "2",
    "HOSTNAME": "0.0.0.0",  # noqa: S104 -- the launcher's default, quoted
    "PORT": "3000",
    "PROMETHEUS_PORT": "9000",
    "SHARD_UDS_PATH": None,
    "MASTER_PORT": "29500",
    "CUDA_MEMORY_FRACTION": "1.0",
    "CUDA_GRAPHS": None,
    "HUGGINGFACE_HUB_CACHE": None,
    "WEIGHTS_CACHE_OVERRIDE": None,
    "TRUST_REMOTE_CODE": None,
    "API_KEY": None,
    "JSON_OUTPUT": None,
    "OTLP_ENDPOINT": None,
    "OTLP_SERVICE_NAME": None,
    "DISABLE_GRAMMAR_SUPPORT": None,
    "USAGE_STATS": "on",
    "PAYLOAD_LIMIT": "2000000",
    "GRACEFUL_TERMINATION_TIMEOUT": "90",
    "LORA_ADAPTERS": None,
    "ENABLE_PREFILL_LOGPROBS": None,
}
"""Names that are flags too, with the launcher's defaults."""

ENVIRONMENT_ONLY: frozenset[str] = frozenset(
    {
        "ATTENTION",
        "COMPUTE_TYPE",
        "CUDA_VISIBLE_DEVICES",
        "HF_API_TOKEN",
        "HF_HOME",
        "HF_HUB_ENABLE_HF_TRANSFER",
        "HF_HUB_OFFLINE",
        "HF_TOKEN",
        "LOG_LEVEL",
        "NVIDIA_VISIBLE_DEVICES",
        "PREFILL_CHUNKING",
        "PREFIX_CACHING",
        "TGI_WIGGLE_ROOM",
    }
)
"""Names that are read from the environment, but are no flags."""

PROCESS: frozenset[str] = frozenset({"HOME"})
"""Names that any process reads: without a home of its own, a user without an entry in passwd gets `/`, which
is read-only here, and the kernels' caches fail there."""

KNOWN: frozenset[str] = frozenset(FLAGS) | ENVIRONMENT_ONLY | PROCESS

RESERVED: Mapping[str, str] = {
    "API_KEY": "the operator guards the engine's port with a key of its own: remove it",
    "HF_API_TOKEN": "use spec.model.tokenSecretRef, which keeps the token in a Secret",
    "HF_HOME": "the operator mounts the cache itself: use spec.model.cache",
    "HF_TOKEN": "use spec.model.tokenSecretRef, which keeps the token in a Secret",
    "HOME": "the operator sets it: remove it",
    "HOSTNAME": "the operator sets it: remove it",
    "HUGGINGFACE_HUB_CACHE": "the operator mounts the cache itself: use spec.model.cache",
    "MAX_CONCURRENT_REQUESTS": "use spec.concurrency.maxConcurrent, from which it follows",
    "MAX_INPUT_LENGTH": "use spec.engine.maxInputTokens",
    "MAX_INPUT_TOKENS": "use spec.engine.maxInputTokens",
    "MAX_STOP_SEQUENCES": "the operator sets it to hold spec.chat.stop: remove it",
    "MAX_TOTAL_TOKENS": "use spec.engine.maxTotalTokens",
    "MODEL_ID": "use spec.model.id",
    "NUM_SHARD": "use spec.engine.gpu.count, from which it follows",
    "PORT": "the operator sets it: remove it",
    "REVISION": "use spec.model.revision",
    "SHARDED": "use spec.engine.gpu.count, from which it follows",
    "USAGE_STATS": "the operator switches it off: remove it",
}
"""Names that the operator sets itself, each with what a user does instead."""


def flag_of(name: str) -> str:
    """MAX_INPUT_TOKENS -> --max-input-tokens."""
    return "--" + name.lower().replace("_", "-")
