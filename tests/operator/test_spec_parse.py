"""The border: raw resources in, frozen ones out, and what is said of those that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from chatstream_operator.errors import InvalidSpec
from chatstream_operator.spec import parse_chatstream
from tests.operator.samples import DEMO, ROOT, TGI, chatstream, demo, raw_chatstream, tgi


def test_the_least_resource_has_every_default() -> None:
    spec = chatstream().spec
    assert (spec.replicas, spec.engine.max_input_tokens, spec.engine.max_total_tokens) == (1, 4096, 8192)
    assert (spec.concurrency.max_concurrent, spec.concurrency.max_queued) == (16, 64)
    assert (spec.concurrency.queue_timeout, spec.sessions.idle_timeout, spec.drain.timeout) == (
        30,
        86400,
        300,
    )
    assert (spec.sessions.store, spec.sessions.cookie.secure, spec.sessions.retain) == ("Redis", True, False)
    assert (spec.chat.max_turns, spec.chat.max_new_tokens) == (50, 1024)


@pytest.mark.parametrize("name", ["chatstream-demo.yaml", "chatstream-tgi.yaml"])
def test_the_examples_parse(name: str) -> None:
    raw = yaml.safe_load((ROOT / "examples" / name).read_text())
    raw["metadata"] |= {"namespace": "team", "uid": "u", "generation": 1}
    assert parse_chatstream(raw).name == raw["metadata"]["name"]


def test_gpus_are_one_for_tgi_and_none_for_demo_unless_said() -> None:
    assert tgi().gpu_count == 1
    assert demo().gpu_count == 0
    assert tgi(engine={"type": "TGI", "gpu": {"count": 4}}).gpu_count == 4
    assert demo(engine={"type": "Demo", "gpu": {"count": 1}}).gpu_count == 1


@pytest.mark.parametrize(
    ("model", "template"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama3"),
        ("acme/llama3-tuned", "Llama3"),
        ("Qwen/Qwen2.5-7B-Instruct", "ChatML"),
        ("meta-llama/Llama-2-7b", "ChatML"),
    ],
)
def test_the_template_follows_the_models_name(model: str, template: str) -> None:
    assert tgi(model={"id": model}).template == template
    assert tgi(model={"id": model}, chat={"template": "Plain"}).template == "Plain"


def test_the_store_is_told_apart() -> None:
    assert demo().session_store == "managed"
    assert demo(sessions={"store": "Memory"}).session_store == "memory"
    ref = {"name": "mine", "key": "url"}
    assert demo(sessions={"redis": {"urlSecretRef": ref}}).session_store == "url"


def test_a_parsed_resource_is_frozen() -> None:
    with pytest.raises(ValidationError):
        chatstream().spec.replicas = 2


def test_what_a_newer_crd_may_add_is_ignored() -> None:
    assert demo(suspend=True).spec == demo().spec


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"engine": {"type": "TGI"}}, "spec.model.id: an engine of type TGI needs a model"),
        ({**DEMO, "replicas": "two"}, "spec.replicas: "),
        ({**DEMO, "concurrency": {"queueTimeout": "30x"}}, "spec.concurrency.queueTimeout: "),
        ({**DEMO, "concurrency": {"queueTimeout": "2h"}}, "spec.concurrency.queueTimeout: "),
        ({"engine": {"type": "Demoo"}}, "spec.engine.type: "),
    ],
)
def test_what_cannot_be_names_the_field(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_chatstream(raw_chatstream(spec))
    assert words in str(caught.value)


def _with_env(name: str) -> dict[str, Any]:
    return {**TGI, "engine": {"type": "TGI", "env": [{"name": name, "value": "x"}]}}


@pytest.mark.parametrize("name", ["QUANTIZE", "CUDA_GRAPHS", "ATTENTION", "HF_HUB_OFFLINE"])
def test_a_known_setting_of_the_engine_is_let_through(name: str) -> None:
    assert chatstream(_with_env(name)).spec.engine.env[0].name == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("QUANTISE", "did you mean QUANTIZE?"),
        ("quantize", "did you mean QUANTIZE?"),
        ("XYZZY", "remove it"),
        ("PORT", "the operator sets it"),
        ("MAX_TOTAL_TOKENS", "use spec.engine.maxTotalTokens"),
        ("MODEL_ID", "use spec.model.id"),
        ("HF_TOKEN", "use spec.model.tokenSecretRef"),
    ],
)
def test_an_unknown_or_reserved_setting_of_the_engine_is_refused(name: str, words: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        chatstream(_with_env(name))
    assert f"spec.engine.env[{name}]" in str(caught.value)
    assert words in str(caught.value)


def test_all_bad_settings_are_told_at_once() -> None:
    env = [{"name": name, "value": "x"} for name in ("PORT", "XYZZY")]
    with pytest.raises(InvalidSpec, match=r"PORT.*XYZZY"):
        chatstream({**TGI, "engine": {"type": "TGI", "env": env}})
