"""The demonstration engine's options are the launcher's."""

import ipaddress
from pathlib import Path

import pytest

from chatstream.engines.demo.limits import Limits
from chatstream.engines.demo.script import Script, load_script
from chatstream.engines.demo.server.config import ServerConfig, load_config


def test_defaults() -> None:
    assert load_config([], {}) == ServerConfig()


def test_the_environment_of_a_pod() -> None:
    environ = {
        "PORT": "80",
        "HOSTNAME": "support-5d9c7-x2x4z",  # Kubernetes sets it to the pod's name
        "MODEL_ID": "meta-llama/Llama-3.1-8B-Instruct",
        "REVISION": "main",
        "MAX_INPUT_TOKENS": "1024",
        "MAX_TOTAL_TOKENS": "2048",
        "MAX_CONCURRENT_REQUESTS": "32",
        "MAX_BATCH_SIZE": "8",
        "API_KEY": "key",
        "COMPUTE_TYPE": "cpu",
        "HF_TOKEN": "not a flag",
        "KUBERNETES_PORT": "tcp://10.0.0.1:443",
        "CHATSTREAM_DEMO_SCRIPT": "/script.json",
    }
    config = load_config([], environ)
    assert ipaddress.ip_address(config.hostname).is_unspecified
    assert (config.port, config.model_id, config.api_key) == (80, "meta-llama/Llama-3.1-8B-Instruct", "key")
    assert (config.max_concurrent_requests, config.max_batch_size) == (32, 8)
    assert config.limits.lengths == Limits(1024, 2048)
    assert (config.compute_type, config.script) == ("cpu", Path("/script.json"))


@pytest.mark.parametrize("value", ["1", "true", "yes", "0", "off", ""])
def test_switches_take_any_word_from_the_environment(value: str) -> None:
    assert load_config([], {"TRUST_REMOTE_CODE": value, "JSON_OUTPUT": value}) == ServerConfig()
    assert load_config(["--trust-remote-code", "-p", "80"], {}).port == 80


def test_flags_win_over_the_environment() -> None:
    config = load_config(
        ["--port", "81", "--json-output", "--model-id=a/b"], {"PORT": "80", "MODEL_ID": "c/d"}
    )
    assert (config.port, config.model_id) == (81, "a/b")


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (["--no-such-flag", "1"], {}, "unrecognized arguments: --no-such-flag 1"),
        (["--max-input", "1"], {}, "unrecognized arguments"),
        ([], {"PORT": "x"}, "invalid value 'x' for '--port <PORT>': invalid digit found in string"),
        ([], {"PORT": "65536"}, "65536 is not in 0..=65535"),
        # What a Service called `prometheus` puts into every pod stops the launcher, and so the demonstration.
        (
            [],
            {"PROMETHEUS_PORT": "tcp://10.0.0.1:9090"},
            "invalid value 'tcp://10.0.0.1:9090' for '--prometheus-port",
        ),
        ([], {"MAX_INPUT_TOKENS": "1", "MAX_INPUT_LENGTH": "1"}, "set only `max_input_tokens`"),
        ([], {"MAX_INPUT_TOKENS": "8", "MAX_TOTAL_TOKENS": "8"}, "`max_input_tokens` must be > 0 and <"),
        ([], {"SHARDED": "maybe"}, "possible values: true, false"),
    ],
)
def test_what_is_refused(
    arguments: list[str], environ: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        load_config(arguments, environ)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"MAX_TOTAL_TOKENS": "100"}, Limits(99, 100)),
        ({"MAX_INPUT_TOKENS": "100"}, Limits(100, 8192)),
        ({"MAX_INPUT_LENGTH": "100"}, Limits(100, 8192)),
        ({"MAX_INPUT_TOKENS": "9000"}, Limits(9000, 9001)),
    ],
)
def test_one_limit_follows_from_the_other(environ: dict[str, str], expected: Limits) -> None:
    assert load_config([], environ).limits.lengths == expected


def test_a_script_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('{"delay_ms": 1, "replies": [{"contains": "a", "tokens": [{"id": 1, "text": "x"}]}]}')
    reply = load_script(path).reply_to("bab")
    assert reply is not None
    assert reply.tokens[0].text == "x"
    assert load_script(None) == Script()
    path.write_text('{"speed": 1}')
    with pytest.raises(ValueError, match="speed"):
        load_script(path)
