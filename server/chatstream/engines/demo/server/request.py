"""What TGI can be asked, and when it refuses. Pure."""

import random
from dataclasses import dataclass, field
from typing import Any, Final

from chatstream.engines.demo.limits import ROUND, Limits, validation_error
from chatstream.engines.demo.server.serde import (
    REQUIRED,
    Struct,
    anything,
    boolean,
    f32,
    i32,
    optional,
    parse,
    sequence,
    string,
    u32,
    u64,
    usize,
)
from chatstream.engines.demo.tokenizer import Tokenizer

_PARAMETERS: Final = Struct(
    "GenerateParameters",
    {
        "best_of": (optional(usize), None),
        "temperature": (optional(f32), None),
        "repetition_penalty": (optional(f32), None),
        "frequency_penalty": (optional(f32), None),
        "top_k": (optional(i32), None),
        "top_p": (optional(f32), None),
        "typical_p": (optional(f32), None),
        "do_sample": (boolean, False),
        "max_new_tokens": (optional(u32), None),
        "return_full_text": (optional(boolean), None),
        "stop": (sequence(string), ()),
        "truncate": (optional(usize), None),
        "watermark": (boolean, False),
        "details": (boolean, False),
        "decoder_input_details": (boolean, False),
        "seed": (optional(u64), None),
        "top_n_tokens": (optional(u32), None),
        "grammar": (anything, None),
        "adapter_id": (optional(string), None),
    },
)
# Without any parameters TGI samples, with some of them it does not.
_NO_PARAMETERS: Final = {name: default for name, (_, default) in _PARAMETERS.fields.items()} | {
    "do_sample": True
}
_REQUEST: Final = Struct(
    "GenerateRequest", {"inputs": (string, REQUIRED), "parameters": (_PARAMETERS, _NO_PARAMETERS)}
)
_COMPAT_REQUEST: Final = Struct("CompatGenerateRequest", {**_REQUEST.fields, "stream": (boolean, False)})


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may ask for."""

    lengths: Limits = field(default_factory=Limits)
    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was understood, but not yet checked."""

    inputs: str
    stream: bool
    parameters: dict[str, Any]

    @property
    def details(self) -> bool:
        return bool(self.parameters["details"] or self.parameters["decoder_input_details"])

    @property
    def best_of(self) -> int:
        return self.parameters["best_of"] or 1

    @property
    def samples(self) -> bool:
        """Whether the tokens are drawn, and so have a seed."""
        given = (self.parameters[name] is not None for name in ("temperature", "top_k", "top_p", "typical_p"))
        return bool(self.parameters["do_sample"]) or any(given)


@dataclass(frozen=True, slots=True)
class Valid:
    """A request that will be run."""

    inputs: str
    input_length: int
    max_new_tokens: int
    """Of the first round, as it is counted."""
    reachable_tokens: int
    """Of all rounds together."""
    stop: tuple[str, ...]
    seed: int | None
    top_n_tokens: int


class Refused(Exception):
    """The request is wrong; the text is TGI's whole message."""


def parse_request(body: bytes) -> Asked:
    """The body of /generate, /generate_stream and /tokenize. Raises SerdeError."""
    values = parse(body, _REQUEST)
    return Asked(values["inputs"], False, values["parameters"])


def parse_compat_request(body: bytes) -> Asked:
    """The body of POST /, which returns the prompt too unless told otherwise. Raises SerdeError."""
    values = parse(body, _COMPAT_REQUEST)
    parameters = values["parameters"]
    full_text = parameters["return_full_text"]
    return Asked(
        values["inputs"],
        values["stream"],
        parameters | {"return_full_text": True if full_text is None else full_text},
    )


def check_streamable(asked: Asked) -> None:
    """Refuse what cannot be streamed; TGI looks at this before anything is taken."""
    if asked.best_of > 1:
        raise Refused(validation_error("`best_of` != 1 is not supported when streaming tokens"))
    if asked.parameters["decoder_input_details"]:
        raise Refused(
            validation_error("`decoder_input_details` == true is not supported when streaming tokens")
        )


def check_best_of(asked: Asked, limits: RequestLimits) -> None:
    if asked.best_of > 1 and limits.max_best_of == 1:
        raise Refused(validation_error("`best_of` != 1 is not allowed for this endpoint"))
    if asked.best_of > limits.max_best_of:
        raise Refused(
            validation_error(f"`best_of` must be > 0 and <= {limits.max_best_of}. Given: {asked.best_of}")
        )


def validate(asked: Asked, limits: RequestLimits, tokenizer: Tokenizer) -> Valid:
    """Raises Refused with TGI's message; the order of the checks is TGI's."""
    reason = _parameter_refusal(asked, limits) or _input_refusal(asked, limits)
    if reason:
        raise Refused(validation_error(reason))
    length = tokenizer.count(asked.inputs)
    length = min(length, asked.parameters["truncate"] or length)
    wanted = asked.parameters["max_new_tokens"]
    if wanted is None:
        wanted = max(0, limits.lengths.max_total_tokens - length)
    reason = limits.lengths.refusal(length, wanted)
    if reason:
        raise Refused(validation_error(reason))
    return Valid(
        inputs=asked.inputs,
        input_length=length,
        max_new_tokens=min(wanted, ROUND),
        reachable_tokens=limits.lengths.reachable(length, wanted),
        stop=asked.parameters["stop"],
        seed=_seed(asked),
        top_n_tokens=asked.parameters["top_n_tokens"] or 0,
    )


def _seed(asked: Asked) -> int | None:
    if not asked.samples:
        return None
    seed = asked.parameters["seed"]
    return random.getrandbits(64) if seed is None else int(seed)


def _parameter_refusal(asked: Asked, limits: RequestLimits) -> str | None:
    given = asked.parameters
    stops, top_n = len(given["stop"]), given["top_n_tokens"] or 0
    checks = (
        (asked.best_of > 1 and not asked.samples, "you must use sampling when `best_of` is > 1"),
        (_below(given["temperature"], 0.0), "`temperature` must be strictly positive"),
        (_below(given["repetition_penalty"], 0.0), "`repetition_penalty` must be strictly positive"),
        (abs(given["frequency_penalty"] or 0.0) > 2.0, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        (_outside(given["top_p"]), "`top_p` must be > 0.0 and < 1.0"),
        (_outside(given["typical_p"]), "`typical_p` must be > 0.0 and < 1.0"),
        (_below(given["top_k"], 0), "`top_k` must be strictly positive"),
        (given["max_new_tokens"] == 0, "`max_new_tokens` must be strictly positive"),
        (
            stops > limits.max_stop_sequences,
            f"`stop` supports up to {limits.max_stop_sequences} stop sequences. Given: {stops}",
        ),
        (asked.best_of > 1 and given["seed"] is not None, "`seed` must not be set when `best_of` > 1"),
        (
            top_n > limits.max_top_n_tokens,
            f"`top_n_tokens` must be >= 0 and <= {limits.max_top_n_tokens}. Given: {top_n}",
        ),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def _input_refusal(asked: Asked, limits: RequestLimits) -> str | None:
    if not asked.inputs:
        return "`inputs` cannot be empty"
    truncate, most = asked.parameters["truncate"], limits.lengths.max_input_tokens
    if truncate is not None and not 0 < truncate <= most:
        return f"`truncate` must be strictly positive and less than {most}. Given: {truncate}"
    return None


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value <= limit


def _outside(value: float | None) -> bool:
    return value is not None and not 0.0 < value < 1.0
