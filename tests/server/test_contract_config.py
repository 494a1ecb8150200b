"""The settings file and its environment: a contract with the operator and the chart."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chatstream.settings import ConfigurationError, Settings, load_settings

SAMPLE = Path(__file__).parent / "data" / "config.yaml"
KEYS = '["the-first-key-of-16+", "the-second-key-of-16+"]'


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHATSTREAM_CONFIG", raising=False)


def write(folder: Path, content: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(content)
    return path


def test_the_operators_file_with_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(SAMPLE))
    monkeypatch.setenv("CHATSTREAM_SESSIONS__SECRET_KEYS", KEYS)
    monkeypatch.setenv("CHATSTREAM_ENGINE__API_KEY", "engine-key")
    monkeypatch.setenv("CHATSTREAM_SESSIONS__REDIS_PASSWORD", "redis-password")
    settings = load_settings()
    assert settings.concurrency.max_concurrent == 16
    assert settings.sessions.redis_url == "redis://support-redis.default.svc:6379/0"
    assert [key.get_secret_value() for key in settings.sessions.secret_keys] == yaml.safe_load(KEYS)
    assert settings.engine.api_key is not None
    assert settings.engine.api_key.get_secret_value() == "engine-key"
    assert settings.engine.url == "http://127.0.0.1:3000"
    assert "engine-key" not in repr(settings)
    assert "redis-password" not in repr(settings)


def test_every_value_of_the_sample_arrives() -> None:
    def arrived(given: object, setting: object) -> bool:
        if isinstance(given, dict):
            return all(arrived(value, getattr(setting, name)) for name, value in given.items())
        return given == setting

    assert arrived(yaml.safe_load(SAMPLE.read_text()), load_settings(SAMPLE))


def test_the_schema_is_what_it_was_agreed_to_be() -> None:
    assert shape(Settings()) == {
        "host": "127.0.0.1",
        "port": 8080,
        "metrics_port": 9090,
        "trusted_proxies": ["127.0.0.1"],
        "log_level": "info",
        "engine": {
            "type": "tgi",
            "url": "http://127.0.0.1:3000",
            "api_key": None,
            "connect_timeout": 5,
            "first_token_timeout": 120,
            "idle_timeout": 60,
        },
        "concurrency": {"max_concurrent": 2, "max_queued": 5, "queue_timeout": 30},
        "sessions": {
            "store": "memory",
            "redis_url": None,
            "redis_password": None,
            "redis_ca_file": None,
            "secret_keys": [],
            "secret_keys_file": None,
            "encryption_keys": [],
            "encryption_keys_file": None,
            "allowed_origins": [],
            "idle_timeout": 86400,
            "absolute_timeout": 2592000,
            "cookie": {"secure": True, "same_site": "lax", "partitioned": False},
        },
        "chat": {
            "system_prompt": None,
            "template": "chatml",
            "max_turns": 50,
            "max_input_tokens": 4096,
            "max_total_tokens": 8192,
            "max_new_tokens": 1024,
            "temperature": None,
            "top_p": None,
            "stop": [],
        },
        "drain": {"timeout": 300},
        "limits": {
            "body_bytes": 65536,
            "body_timeout": 10,
            "write_timeout": 30,
            "turn_timeout": 600,
            "keep_alive": 10,
            "callback_timeout": 10,
        },
    }


def shape(settings: Settings) -> dict[str, Any]:
    return settings.model_dump()


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "port: 1000\nchat: {max_turns: 3, template: plain}\n")
    monkeypatch.setenv("CHATSTREAM_PORT", "2000")
    monkeypatch.setenv("CHATSTREAM_CHAT__MAX_TURNS", "7")
    settings = load_settings(path)
    assert (settings.port, settings.chat.max_turns, settings.chat.template) == (2000, 7, "plain")


def test_json_is_read_too(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, '{"port": 1234, "engine": {"type": "demo"}}')).port == 1234


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("prt: 1", "prt: Extra inputs are not permitted"),
        ("engine: {typ: demo}", "engine.typ: Extra inputs"),
        ("engine: {type: openai}", "engine.type"),
        ("concurrency: {max_concurrent: 0}", "concurrency.max_concurrent"),
        ("sessions: {secret_keys: [short]}", "fewer than 16 bytes"),
        ("sessions: {store: redis}", "CHATSTREAM_SESSIONS__REDIS_URL"),
        ("sessions: {redis_url: 'redis://host', redis_ca_file: /a}", "redis_ca_file needs a redis_url with"),
        ("sessions: {cookie: {secure: false, same_site: none}}", "needs secure true"),
        ("sessions: {cookie: {secure: false, partitioned: true}}", "sessions.cookie: Value error, partition"),
        ("sessions: {encryption_keys: [short]}", "sessions.encryption_keys: Value error, key 0 has fewer"),
        ("sessions: {secret_keys: [key-of-16-bytes-], secret_keys_file: /a}", "secret_keys_file are both"),
        ("sessions: {encryption_keys: [key-of-16-bytes-], encryption_keys_file: /a}", "_keys_file are both"),
        ('sessions: {allowed_origins: ["*"]}', "sessions.allowed_origins: Value error, allowed_origins: '*'"),
        ("sessions: {allowed_origins: [https://a.example/path]}", "of the form scheme://host[:port]"),
        ("chat: {max_new_tokens: 9000}", "max_new_tokens must be below"),
        ("- 1", "must hold a mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_settings(write(tmp_path, content))
    assert says in str(error.value)


def test_key_files_and_more_in_the_operators_file(tmp_path: Path) -> None:
    content = """
    sessions:
      store: redis
      redis_url: rediss+sentinel://one.example,two.example:26380/chat/0
      redis_ca_file: /etc/chatstream/redis-ca/ca.crt
      secret_keys_file: /etc/chatstream/keys/session-keys
      encryption_keys_file: /etc/chatstream/keys/encryption-keys
      allowed_origins: ["https://www.example.com", "http://localhost:5173"]
      cookie: {same_site: none, partitioned: true}
    """
    sessions = load_settings(write(tmp_path, content)).sessions
    assert sessions.redis_ca_file == Path("/etc/chatstream/redis-ca/ca.crt")
    assert sessions.secret_keys_file == Path("/etc/chatstream/keys/session-keys")
    assert sessions.encryption_keys_file == Path("/etc/chatstream/keys/encryption-keys")
    assert sessions.allowed_origins == ["https://www.example.com", "http://localhost:5173"]
    assert sessions.cookie.partitioned


def test_no_secret_is_repeated_in_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_settings(write(tmp_path, "sessions: {secret_keys: [hunter2]}"))
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("CHATSTREAM_SESSIONS__SECRET_KEYS", "hunter2")
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert "hunter2" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings(tmp_path / "missing.yaml")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "")) == Settings()
