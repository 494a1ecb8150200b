"""The settings file that the operator renders is one that the server takes, whatever the resource says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chatstream.app.keys import KeyFile
from chatstream.settings import ConfigurationError, SessionSettings, load_settings
from chatstream_operator.rotation import ABSOLUTE_TIMEOUT, InvalidKeys, fingerprint, read_ring
from chatstream_operator.spec import ChatStream
from fastersession import KeyRing
from fastersession.csrf import OriginCheck
from tests.operator.crd_schema import spec_schema, walk
from tests.operator.samples import config_of, demo, env_of, server_of, tgi

REF = {"name": "a", "key": "b"}
RESOURCES = [
    demo(),
    tgi(),
    demo(sessions={"store": "Memory"}),
    demo(sessions={"redis": {"urlSecretRef": REF}}),
    demo(sessions={"redis": {"urlSecretRef": REF, "caSecretRef": REF}, "encrypt": True}),
    demo(
        sessions={
            "cookie": {"sameSite": "None", "partitioned": True},
            "allowedOrigins": ["https://www.example.com", "http://localhost:3000", "http://10.0.0.1:80"],
        }
    ),
    demo(
        chat={"systemPrompt": "Hi", "template": "Plain", "temperature": 0, "topP": 1, "stop": ["x"]},
        sessions={"cookie": {"secure": False, "sameSite": "Strict"}},
    ),
]
SECRETS = {
    "CHATSTREAM_ENGINE__API_KEY": "e" * 43,
    "CHATSTREAM_SESSIONS__REDIS_PASSWORD": "p" * 43,
    "CHATSTREAM_SESSIONS__REDIS_URL": "rediss://somewhere:6379/0",
}


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_server_takes_what_is_rendered(
    resource: ChatStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(resource)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    for name in env_of(server_of(resource)):
        if name in SECRETS:
            monkeypatch.setenv(name, SECRETS[name])
    settings = load_settings(path)
    assert settings.concurrency.max_concurrent == config["concurrency"]["max_concurrent"]
    assert settings.sessions.store == config["sessions"]["store"]
    assert settings.chat.template == config["chat"]["template"]
    sessions = config["sessions"]
    assert str(settings.sessions.secret_keys_file) == sessions["secret_keys_file"]
    assert settings.sessions.allowed_origins == sessions["allowed_origins"]
    assert settings.sessions.cookie.partitioned == sessions["cookie"]["partitioned"]
    for name in ("encryption_keys_file", "redis_ca_file"):
        path = getattr(settings.sessions, name)
        assert (str(path) if path else None) == sessions.get(name)
    assert settings.drain.timeout == config["drain"]["timeout"]


def test_a_session_lives_as_long_as_the_server_itself_would_let_it() -> None:
    assert SessionSettings().absolute_timeout == ABSOLUTE_TIMEOUT


def test_operator_and_server_tell_keys_apart_by_the_same_fingerprints() -> None:
    keys = ["k" * 16, "ключ" * 8, "😀" * 4]
    assert KeyRing(keys).fingerprints() == tuple(map(fingerprint, keys))


def origin_pattern() -> str:
    node = dict(walk(spec_schema()))["sessions.allowedOrigins[]"]
    (rule,) = node["x-kubernetes-validations"]
    return str(rule["rule"]).partition("matches('")[2].rpartition("')")[0]


@given(st.from_regex(origin_pattern(), fullmatch=True))
def test_whatever_origin_the_resource_may_hold_the_server_takes(origin: str) -> None:
    OriginCheck([origin])


@pytest.mark.parametrize(
    "text",
    ["", "null", "{}", "[]", '"k"', "[1]", '["short"]', '["\\ud800aaaaaaaaaaaaaaaa"]', "[" * 100_000, "[1"],
)
def test_what_the_operator_takes_for_no_keys_the_server_does_not_take_either(
    text: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidKeys):
        read_ring(text)
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        KeyFile(path, "keys")
