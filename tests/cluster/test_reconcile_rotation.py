"""A rotation of the keys by the real operator: pods that answer at /status, hands, SIGKILL between phases."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chatstream_operator.manifests.names import METRICS_PORT
from chatstream_operator.rotation import fingerprint
from tests.cluster.kubectl import Kubectl, Object, chatstream, eventually
from tests.cluster.kubelet import bind_pod, run_pod, wait_for_pods
from tests.cluster.operator_process import OperatorProcess

ANNOTATION = "chatstream.dev/rotate-keys"
STATE = "chatstream.dev/key-rotation"


class Server:
    """A server at an address of its own: its /status, with the fingerprints that it has read."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.keys: list[str] = []
        self.asked = 0

    @contextmanager
    def serving(self) -> Iterator[None]:
        web = ThreadingHTTPServer((self.address, METRICS_PORT), self._handler())
        thread = threading.Thread(target=web.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            web.shutdown()
            thread.join()
            web.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                body = json.dumps({"sessions": {"reachable": True, "keys": server.keys}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler


class Rotation:
    """One ChatStream `demo` in a namespace, seen from outside."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace

    def secret(self) -> Object:
        return self._kubectl.get("secret", "demo-keys", "-n", self._namespace)

    def ring(self) -> list[str]:
        found: list[str] = json.loads(base64.b64decode(self.secret()["data"]["session-keys"]))
        return found

    def prints(self) -> list[str]:
        return [fingerprint(key) for key in self.ring()]

    def phase(self) -> str:
        state = json.loads(self.secret()["metadata"].get("annotations", {}).get(STATE, "{}"))
        return str(state.get("phase", "settled"))

    def ask(self, value: str) -> None:
        self._kubectl.must("annotate", "chst", "demo", "-n", self._namespace, f"{ANNOTATION}={value}")

    def message(self) -> str:
        conditions = self._kubectl.get("chst", "demo", "-n", self._namespace)["status"]["conditions"]
        return next(str(one["message"]) for one in conditions if one["type"] == "SessionsReady")

    def events(self) -> set[str]:
        events = self._kubectl.get("events.events.k8s.io", "-n", self._namespace)["items"]
        return {one["reason"] for one in events}

    def wait_for(self, phase: str) -> None:
        eventually(lambda: self.phase() == phase, phase)


@pytest.fixture
def pods(kubectl: Kubectl, namespace: str, operator: OperatorProcess) -> Iterator[list[Server]]:
    """Two servers that run and answer; their Redis is somebody else's."""
    redis = {"urlSecretRef": {"name": "mine", "key": "url"}}
    kubectl.apply(chatstream("demo", namespace, sessions={"redis": redis}, replicas=2))
    kubectl.must("create", "secret", "generic", "mine", "--from-literal=url=redis://x", "-n", namespace)
    with ExitStack() as stack:
        servers = []
        for number, pod in enumerate(wait_for_pods(kubectl, namespace, "server", 2), start=2):
            # Of this process alone, in the loopback network.
            server = Server(f"127.{os.getpid() % 250 + 1}.77.{number}")
            stack.enter_context(server.serving())
            bind_pod(kubectl, namespace, pod, f"node-{number}")
            run_pod(kubectl, namespace, pod, podIP=server.address, podIPs=[{"ip": server.address}])
            servers.append(server)
        eventually(lambda: all(server.asked for server in servers), "both servers are asked")
        yield servers


def read(pods: list[Server], rotation: Rotation) -> None:
    """As servers do: the Secret's newest."""
    for server in pods:
        server.keys = rotation.prints()


def test_26_a_rotation_by_annotation(
    kubectl: Kubectl, namespace: str, pods: list[Server], operator: OperatorProcess
) -> None:
    rotation = Rotation(kubectl, namespace)
    (old,) = rotation.ring()
    template = kubectl.get("deployment", "demo", "-n", namespace)["spec"]["template"]
    rotation.ask("first")
    rotation.wait_for("adding")
    assert rotation.ring()[0] == old
    pods[0].keys = rotation.prints()
    eventually(lambda: "(has not read the new key yet)" in rotation.message(), "it says whom it waits for")
    assert rotation.phase() == "adding"
    read(pods, rotation)
    rotation.wait_for("switching")
    read(pods, rotation)
    rotation.wait_for("settled")
    new = rotation.ring()[0]
    assert rotation.ring() == [new, old]
    assert new != old
    eventually(lambda: {"KeyRotationStarted", "KeysRotated"} <= rotation.events(), "its events")
    assert "KeysRotated" in kubectl.must("events", "--for", "chatstream/demo", "-n", namespace)
    eventually(lambda: "new key" not in rotation.message(), "it says that it is over")
    assert kubectl.get("deployment", "demo", "-n", namespace)["spec"]["template"] == template
    assert new not in operator.log()


def test_26_an_operator_that_is_killed_between_two_phases_goes_on(
    kubectl: Kubectl, namespace: str, pods: list[Server], operator: OperatorProcess
) -> None:
    rotation = Rotation(kubectl, namespace)
    read(pods, rotation)
    before = rotation.ring()
    rotation.ask("first")
    for phase in ("adding", "switching"):
        rotation.wait_for(phase)
        operator.kill()
        kept = rotation.ring()
        read(pods, rotation)
        operator.start()
        assert set(kept) <= set(rotation.ring())
    rotation.wait_for("settled")
    assert rotation.ring()[1:] == before
    assert len(rotation.ring()) == 2


def test_26_a_hand_that_edits_the_keys_meanwhile_loses_nothing(
    kubectl: Kubectl, namespace: str, pods: list[Server]
) -> None:
    rotation = Rotation(kubectl, namespace)
    rotation.ask("first")
    rotation.wait_for("adding")
    mine = "by-hand-" * 4
    ring = json.dumps([*rotation.ring(), mine])
    kubectl.patch("secret", "demo-keys", namespace, {"stringData": {"session-keys": ring}})
    read(pods, rotation)
    rotation.wait_for("switching")
    assert mine in rotation.ring()
    assert len(rotation.ring()) == 3
    kubectl.patch("secret", "demo-keys", namespace, {"stringData": {"session-keys": json.dumps([mine])}})
    rotation.wait_for("settled")
    assert rotation.ring() == [mine]
