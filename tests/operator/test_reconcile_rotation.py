"""A rotation of the keys by annotation, from the request to the retired key, with an API server in memory."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatstream_operator.errors import Refused, Unavailable
from chatstream_operator.kube.kinds import CHATSTREAM, DEPLOYMENT, EVENT, POD, SECRET
from chatstream_operator.reconcile.rotator import AT_ONCE, build_operations, read_keys
from chatstream_operator.rotation import ABSOLUTE_TIMEOUT, State, advance, fingerprint
from tests.operator.bench import Bench
from tests.operator.pods import pending_pod, raw_pod, running, waiting
from tests.operator.samples import DEMO, KEY, chatstream
from tests.operator.test_reconcile_status import make_ready

ENCRYPTED = {**DEMO, "sessions": {"encrypt": True}}
RETAINED = {**DEMO, "sessions": {"retain": True}}


@pytest.fixture
def bench() -> Bench:
    return Bench()


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


def notes(bench: Bench) -> dict[str, str]:
    events = [obj for place, obj in bench.kube.objects.items() if place[0] == EVENT]
    return {one["reason"]: one["note"] for one in events}


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


async def test_26_a_rotation_hands_a_key_out_then_uses_it_and_retires_the_old_one(bench: Bench) -> None:
    await make_ready(bench)
    old = await ask(bench)
    assert (state(bench).phase, ring(bench)[0], len(ring(bench))) == ("adding", old, 2)
    new = ring(bench)[1]
    assert len(base64.urlsafe_b64decode(new + "=")) == 32
    bench.prober.keys = {"session-keys": (fingerprint(old),)}
    assert await bench.settle() == 4.0
    waits = "which waits for pod demo-1 (has not read the new key yet)"
    assert bench.condition("SessionsReady")["message"].endswith(waits)
    assert bench.condition("Ready")["status"] == "True"
    read_by_pods(bench)
    await bench.settle()
    assert (state(bench).phase, ring(bench)) == ("switching", [new, old])
    bench.seconds += 10
    assert await bench.settle() == 4.0
    assert (
        "waits for pod demo-1 (does not use the new key yet)" in bench.condition("SessionsReady")["message"]
    )
    read_by_pods(bench)
    assert await bench.settle() is None
    assert (state(bench).phase, ring(bench)) == ("settled", [new, old])
    assert bench.condition("SessionsReady")["message"] == "the pods reach Redis"
    bench.seconds += ABSOLUTE_TIMEOUT
    await bench.settle()
    assert ring(bench) == [new]
    assert [one for one in bench.events() if "Key" in one[1]] == [
        ("Normal", "KeyRotationStarted"),
        ("Normal", "KeysRotated"),
        ("Normal", "KeysRetired"),
    ]


async def test_no_note_and_no_annotation_shows_a_key(bench: Bench) -> None:
    await make_ready(bench)
    await rotate(bench)
    told = json.dumps([notes(bench), bench.status(), bench.get(SECRET, "demo-keys")["metadata"]])
    assert not [key for key in ring(bench) if key in told]
    assert fingerprint(ring(bench)[0]) in told


async def test_a_rotation_rolls_no_pod_and_writes_nothing_when_it_is_over(bench: Bench) -> None:
    await make_ready(bench)
    before = bench.get(DEPLOYMENT, "demo")["spec"]
    await rotate(bench)
    assert bench.get(DEPLOYMENT, "demo")["spec"] == before
    for _ in range(3):
        bench.seconds += 30
        await bench.reconcile()
        assert bench.kube.writes() == []
        assert ("list", "Pod", "") not in bench.kube.requests


async def test_both_rings_are_rotated_by_one_request(bench: Bench) -> None:
    await make_ready(bench, ENCRYPTED)
    before = [ring(bench, name)[0] for name in ("session-keys", "encryption-keys")]
    await ask(bench)
    read_by_pods(bench)
    await bench.settle()
    assert state(bench).phase == "adding"
    for _ in range(2):
        read_by_pods(bench, "session-keys", "encryption-keys")
        await bench.settle()
        bench.seconds += 10
    read_by_pods(bench, "session-keys", "encryption-keys")
    await bench.settle()
    after = [ring(bench, name) for name in ("session-keys", "encryption-keys")]
    assert [keys[1] for keys in after] == before
    assert state(bench).phase == "settled"


async def test_a_request_that_came_with_the_resource_is_done_with_its_first_keys(bench: Bench) -> None:
    bench.put()
    bench.annotate(rotate_keys="2026-01-01")
    await bench.settle()
    assert (len(ring(bench)), state(bench).handled) == (1, "2026-01-01")
    bench.annotate(rotate_keys="2026-01-02")
    await bench.settle()
    assert (len(ring(bench)), state(bench).handled) == (2, "2026-01-02")


async def test_a_secret_of_an_operator_before_that_knew_no_rotation_is_rotated(bench: Bench) -> None:
    await make_ready(bench)
    assert "annotations" not in bench.get(SECRET, "demo-keys")["metadata"]
    old = await ask(bench)
    assert ring(bench)[0] == old


async def test_what_a_hand_annotated_on_the_secret_stays(bench: Bench) -> None:
    await make_ready(bench)
    secret = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    secret["metadata"]["annotations"] = {"note": "mine"}
    bench.kube.put(secret)
    await rotate(bench)
    assert bench.get(SECRET, "demo-keys")["metadata"]["annotations"]["note"] == "mine"


@pytest.mark.parametrize("value", ["", "  "])
async def test_an_empty_request_is_none(bench: Bench, value: str) -> None:
    await make_ready(bench)
    bench.annotate(rotate_keys=value)
    await bench.settle()
    assert len(ring(bench)) == 1


async def test_a_long_request_is_kept_by_its_hash(bench: Bench) -> None:
    await make_ready(bench)
    bench.annotate(rotate_keys="x" * 10_000)
    await bench.settle()
    assert (len(ring(bench)), len(state(bench).handled)) == (2, 64)


async def test_every_pod_is_asked_however_many_there_are(bench: Bench) -> None:
    await make_ready(bench)
    names = [f"demo-{number}" for number in range(1, 3 * AT_ONCE)]
    for name in names:
        bench.kube.put(raw_pod(running("engine"), running("server"), name=name))
    await ask(bench)
    read_by_pods(bench)
    bench.prober.silent = set(names)
    bench.prober.asked.clear()
    await bench.reconcile()
    assert set(bench.prober.asked) == set(names)
    message = bench.condition("SessionsReady")["message"]
    assert "waits for pod demo-1 (does not answer), demo-10 (does not answer)" in message
    assert message.endswith(f"and {len(names) - 5} more")
    bench.prober.silent = {names[-1]}
    await bench.settle()
    assert state(bench).phase == "adding"
    bench.prober.silent = set()
    await bench.settle()
    assert state(bench).phase == "switching"


def gone_at(bench: Bench, seconds: float) -> str:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=bench.seconds + seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


PODS: Mapping[str, tuple[dict[str, Any], bool]] = {
    "one whose server does not run yet": (raw_pod(waiting("engine", "x"), name="demo-2"), True),
    "one whose engine loads": (raw_pod(running("engine"), name="demo-2"), True),
    "one that no node takes": (pending_pod(name="demo-2"), False),
    "one that has ended": (raw_pod(running("engine"), name="demo-2", phase="Failed"), False),
    "one of Redis": (raw_pod(running("redis"), name="demo-redis-0", component="redis"), False),
}


@pytest.mark.parametrize("name", PODS)
async def test_pods_that_may_serve_with_old_keys_are_waited_for(bench: Bench, name: str) -> None:
    pod, waits = PODS[name]
    await make_ready(bench)
    bench.kube.put(pod)
    await ask(bench)
    read_by_pods(bench)
    await bench.settle()
    assert state(bench).phase == ("adding" if waits else "switching")
    said = "demo-2 (its server does not run yet)" in bench.condition("SessionsReady")["message"]
    assert said == waits


@pytest.mark.parametrize(("seconds", "phase"), [(60, "adding"), (0, "switching"), (-60, "switching")])
async def test_a_pod_that_goes_is_waited_for_until_its_time_is_over(
    bench: Bench, seconds: float, phase: str
) -> None:
    await make_ready(bench)
    await ask(bench)
    going = raw_pod(running("engine"), running("server"), name="demo-2")
    going["metadata"]["deletionTimestamp"] = gone_at(bench, seconds)
    bench.kube.put(going)
    read_by_pods(bench)
    bench.prober.silent = {"demo-2"}
    await bench.settle()
    assert state(bench).phase == phase


async def test_pods_of_other_resources_and_namespaces_are_not_waited_for(bench: Bench) -> None:
    await make_ready(bench)
    elsewhere = raw_pod(running("engine"), running("server"), name="demo-9")
    elsewhere["metadata"]["namespace"] = "other"
    bench.kube.put(elsewhere)
    await ask(bench)
    read_by_pods(bench)
    bench.prober.silent = {"demo-9"}
    await bench.settle()
    assert state(bench).phase == "switching"


async def test_a_pod_that_the_cache_does_not_know_yet_is_waited_for(bench: Bench) -> None:
    await make_ready(bench)
    await ask(bench)
    read_by_pods(bench)
    bench.sync()
    bench.kube.put(raw_pod(running("engine"), running("server"), name="demo-2"))
    bench.prober.silent = {"demo-2"}
    await bench.reconciler.reconcile(KEY)
    assert state(bench).phase == "adding"


async def test_without_pods_it_goes_on_once_no_pod_can_start_with_what_was(bench: Bench) -> None:
    bench.put({**DEMO, "replicas": 0})
    await bench.settle()
    bench.annotate(rotate_keys="a")
    again = await bench.settle()
    assert again is not None
    assert 0 < again <= 10
    assert state(bench).phase == "adding"
    bench.seconds += 10
    await bench.settle()
    assert state(bench).phase == "switching"


async def test_a_pod_that_stays_silent_is_asked_at_resyncs_only_in_the_end(bench: Bench) -> None:
    await make_ready(bench)
    await ask(bench)
    bench.prober.silent = {"demo-1"}
    assert await bench.settle() == 4.0
    bench.seconds += 600
    assert await bench.settle() is None
    assert "demo-1 (does not answer)" in bench.condition("SessionsReady")["message"]


async def test_a_secret_that_changed_before_the_write_is_read_again(bench: Bench) -> None:
    await make_ready(bench)
    bench.annotate(rotate_keys="a")
    bench.sync()
    mine = ["mine" * 8, *ring(bench)]
    write_ring(bench, *mine)
    assert await bench.reconciler.reconcile(KEY) == 4.0
    assert ring(bench) == mine
    await bench.settle()
    assert ring(bench)[:2] == mine
    assert len(ring(bench)) == 3


async def test_labels_that_are_put_back_meanwhile_leave_the_rotation_as_it_is(bench: Bench) -> None:
    await make_ready(bench)
    await ask(bench)
    before = state(bench)
    secret = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    secret["metadata"]["labels"] = {}
    bench.kube.put(secret)
    await bench.settle()
    assert bench.get(SECRET, "demo-keys")["metadata"]["labels"]
    assert (state(bench), state(bench).phase) == (before, "adding")


async def test_a_rotation_that_is_refused_is_told(bench: Bench) -> None:
    await make_ready(bench)
    bench.annotate(rotate_keys="a")
    bench.kube.fail("patch", SECRET, Refused("quota", status=403))
    await bench.reconcile()
    assert "tried again: quota" in bench.condition("SessionsReady")["message"]
    await bench.settle()
    assert len(ring(bench)) == 2


async def test_an_api_server_that_is_away_loses_nothing(bench: Bench) -> None:
    await make_ready(bench)
    await ask(bench)
    read_by_pods(bench)
    before = ring(bench)
    for method, kind in (("list", POD), ("patch", SECRET)):
        bench.kube.fail(method, kind, Unavailable("away"))
        with pytest.raises(Unavailable):
            await bench.reconcile()
        assert (ring(bench), state(bench).phase) == (before, "adding")
    await bench.settle()
    assert (set(ring(bench)), state(bench).phase) == (set(before), "switching")


async def test_a_new_operator_goes_on_where_the_old_one_was_killed(bench: Bench) -> None:
    await make_ready(bench)
    old = await ask(bench)
    for phase in ("switching", "settled"):
        bench = Bench(bench.kube, bench.seconds)
        read_by_pods(bench)
        await bench.settle()
        assert state(bench).phase == phase
        bench.seconds += 10
    assert ring(bench)[1] == old


async def test_a_hand_that_ends_a_rotation_has_the_last_word(bench: Bench) -> None:
    await make_ready(bench)
    await ask(bench)
    write_ring(bench, "mine" * 8)
    await bench.settle()
    assert (ring(bench), state(bench).phase) == (["mine" * 8], "settled")
    assert bench.condition("SessionsReady")["message"] == "the pods reach Redis"


@pytest.mark.parametrize("text", ["oops", "[]", '["short"]', "\udcff"])
async def test_keys_that_no_server_takes_are_told_with_the_remedy(bench: Bench, text: str) -> None:
    await make_ready(bench)
    secret = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    secret["data"]["session-keys"] = base64.b64encode(text.encode(errors="surrogateescape")).decode()
    bench.kube.put(secret)
    bench.annotate(rotate_keys="a")
    await bench.settle()
    ready = bench.condition("Ready")
    assert ready["reason"] == "KeysInvalid"
    assert ready["message"].startswith("session-keys of the Secret demo-keys ")
    assert "write a JSON list of keys of at least 16 bytes" in ready["message"]
    assert bench.get(SECRET, "demo-keys")["data"] == secret["data"]


async def test_retained_keys_go_on_with_their_rotation_under_a_new_resource(bench: Bench) -> None:
    await make_ready(bench, RETAINED)
    old = await ask(bench)
    for place, obj in list(bench.kube.objects.items()):
        if place[0] in (CHATSTREAM, POD) or obj["metadata"].get("ownerReferences"):
            bench.kube.remove(*place)
    bench.put(RETAINED)
    await bench.settle()
    assert (state(bench).phase, ring(bench)[1]) == ("switching", old)
    assert state(bench).handled == "2026-01-01"


def test_a_step_is_one_write_to_that_very_version_and_touches_what_changed_only() -> None:
    resource = chatstream(ENCRYPTED)
    text = base64.b64encode(b'["0123456789abcdef"]').decode()
    meta = {"name": "demo-keys", "resourceVersion": "7"}
    secret = {"metadata": meta, "data": {"session-keys": text, "encryption-keys": text, "other": "x"}}
    before = read_keys(resource, secret)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    step = advance(before, request="a", now=now, reports=None, new_key=lambda: "k" * 16)
    assert step is not None
    operations = build_operations(secret, before, step.keys)
    assert operations[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert [one["path"] for one in operations[1:]] == [
        "/data/session-keys",
        "/data/encryption-keys",
        "/metadata/annotations",
    ]
    assert len(build_operations(secret, before, before)) == 2
