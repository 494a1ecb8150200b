"""The settings file that the operator renders is one that the server takes, whatever the resource says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from chatstream.settings import load_settings
from chatstream_operator.spec import ChatStream
from tests.operator.samples import config_of, demo, env_of, server_of, tgi

RESOURCES = [
    demo(),
    tgi(),
    demo(sessions={"store": "Memory"}),
    demo(sessions={"redis": {"urlSecretRef": {"name": "a", "key": "b"}}}),
    demo(
        chat={"systemPrompt": "Hi", "template": "Plain", "temperature": 0, "topP": 1, "stop": ["x"]},
        sessions={"cookie": {"secure": False, "sameSite": "Strict"}},
    ),
]
SECRETS = {
    "CHATSTREAM_SESSIONS__SECRET_KEYS": json.dumps(["k" * 43]),
    "CHATSTREAM_ENGINE__API_KEY": "e" * 43,
    "CHATSTREAM_SESSIONS__REDIS_PASSWORD": "p" * 43,
    "CHATSTREAM_SESSIONS__REDIS_URL": "redis://somewhere:6379/0",
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
    assert settings.drain.timeout == config["drain"]["timeout"]
