"""A rotation on the bench: what the Secret holds, what pods have read of it, the way through the phases."""

from __future__ import annotations

import base64
import copy
import json

from chatstream_operator.kube.kinds import SECRET
from chatstream_operator.rotation import State, fingerprint
from tests.operator.bench import Bench


def ring(bench: Bench, name: str = "session-keys") -> list[str]:
    found: list[str] = json.loads(base64.b64decode(bench.get(SECRET, "demo-keys")["data"][name]))
    return found


def write_ring(bench: Bench, *keys: str, name: str = "session-keys") -> None:
    """As a hand does."""
    secret = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    secret["data"][name] = base64.b64encode(json.dumps(keys).encode()).decode()
    bench.kube.put(secret)


def state(bench: Bench) -> State:
    annotations = bench.get(SECRET, "demo-keys")["metadata"].get("annotations", {})
    return State.read(annotations.get("chatstream.dev/key-rotation"))


def read_by_pods(bench: Bench, *names: str) -> None:
    """All pods have read these rings as they are now."""
    bench.prober.keys = {
        name: tuple(map(fingerprint, ring(bench, name))) for name in names or ("session-keys",)
    }


async def ask(bench: Bench, value: str = "2026-01-01") -> str:
    """Asks for a rotation; gives the key that signs until then. The first phase has begun, and has dwelt."""
    (old,) = ring(bench)
    bench.annotate(rotate_keys=value)
    await bench.settle()
    bench.seconds += 10
    return old


async def rotate(bench: Bench, *rings: str) -> None:
    """From a request to its end, with pods that read what there is."""
    await ask(bench)
    for _ in range(2):
        read_by_pods(bench, *rings)
        await bench.settle()
        bench.seconds += 10
    read_by_pods(bench, *rings)
    await bench.settle()
