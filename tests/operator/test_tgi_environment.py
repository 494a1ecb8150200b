"""Every name that is rendered for the engine is one that text-generation-inference knows."""

from __future__ import annotations

import pytest

from chatstream_operator.spec import ChatStream
from chatstream_operator.tgi_environment import ENVIRONMENT_ONLY, FLAGS, KNOWN, PROCESS, RESERVED, flag_of
from tests.operator.samples import demo, engine_of, env_of, tgi

TOKEN = {"name": "hf", "key": "token"}
FULL = tgi(
    model={"id": "acme/x", "revision": "main", "tokenSecretRef": TOKEN, "cache": {"size": "1Gi"}},
    engine={"type": "TGI", "gpu": {"count": 2}, "env": [{"name": "QUANTIZE", "value": "awq"}]},
    chat={"stop": ["END"]},
)


@pytest.mark.parametrize("resource", [demo(), tgi(), FULL])
def test_every_rendered_name_is_known(resource: ChatStream) -> None:
    assert set(env_of(engine_of(resource))) <= KNOWN


@pytest.mark.parametrize("resource", [demo(), tgi(), FULL])
def test_every_rendered_name_is_reserved_but_the_users(resource: ChatStream) -> None:
    users = {variable.name for variable in resource.spec.engine.env}
    assert set(env_of(engine_of(resource))) - users <= set(RESERVED)


def test_every_reserved_name_is_known() -> None:
    assert set(RESERVED) <= KNOWN


def test_the_groups_do_not_overlap() -> None:
    assert not set(FLAGS) & ENVIRONMENT_ONLY
    assert not (set(FLAGS) | ENVIRONMENT_ONLY) & PROCESS


def test_no_flags_are_passed_but_known_ones() -> None:
    known = {flag_of(name) for name in FLAGS}
    args = engine_of(FULL).get("args", [])
    assert {arg.split("=")[0] for arg in args if arg.startswith("--")} <= known


def test_a_flag_is_the_name_in_kebab_case() -> None:
    assert flag_of("MAX_INPUT_TOKENS") == "--max-input-tokens"


def test_both_lengths_of_input_are_never_set_together() -> None:
    """The launcher refuses to start with both."""
    assert "MAX_INPUT_LENGTH" not in env_of(engine_of(FULL))
