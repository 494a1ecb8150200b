"""The script that `helm test` runs in a pod, against an API server and an operator that answer as told."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from helm import CHART, Helm, pick

LIST = "/apis/chatstream.dev/v1alpha1/chatstreams"
SCRIPT = CHART / "files" / "tests" / "ready.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_ready", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("the-token")
    return tmp_path


@contextmanager
def serving(answers: dict[str, tuple[int, bytes]], seen: list[str | None]) -> Iterator[str]:
    """A server on a free port that gives these answers, 404 else, and notes the Authorization headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            status, body = answers.get(self.path, (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_passes_where_both_answer(
    script: ModuleType, credentials: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str | None] = []
    with serving({LIST: (200, b'{"items": [1, 2]}'), "/readyz": (200, b"ok")}, seen) as url:
        assert script.main(url, url, credentials, 0.0) == 0
    out = capsys.readouterr().out
    assert "ok: the API server serves ChatStreams: 2 in this cluster" in out
    assert "ok: the operator is ready" in out
    # The token is for the API server alone.
    assert seen == ["Bearer the-token", None]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"/readyz": (200, b"")}, "failed: ChatStreams: HTTP Error 404"),
        ({LIST: (403, b"{}"), "/readyz": (200, b"")}, "failed: ChatStreams: HTTP Error 403"),
        ({LIST: (200, b"no JSON")}, "failed: ChatStreams: "),
        ({LIST: (200, b'{"items": []}'), "/readyz": (503, b"")}, "failed: operator: HTTP Error 503"),
    ],
)
def test_fails_and_says_what(
    script: ModuleType,
    credentials: Path,
    capsys: pytest.CaptureFixture[str],
    answers: dict[str, tuple[int, bytes]],
    said: str,
) -> None:
    with serving(answers, []) as url:
        assert script.main(url, url, credentials, 0.0) == 1
    assert said in capsys.readouterr().out


def test_the_pod_runs_this_script_with_the_two_addresses(helm: Helm) -> None:
    container = pick(helm.template(namespace="elsewhere"), "Pod")["spec"]["containers"][0]
    assert container["command"][:2] == ["python", "-c"]
    assert container["command"][2].strip() == SCRIPT.read_text().strip()
    assert container["args"] == [
        "https://kubernetes.default.svc",
        "http://chatstream-operator.elsewhere.svc:8081",
    ]
