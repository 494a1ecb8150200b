"""A rotation of the keys by annotation, from the request to the retired key, with an API server in memory."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime

import pytest

from chatstream_operator.errors import Refused, Unavailable
from chatstream_operator.kube.kinds import CHATSTREAM, DEPLOYMENT, EVENT, POD, SECRET
from chatstream_operator.reconcile.rotator import build_operations, read_keys
from chatstream_operator.rotation import ABSOLUTE_TIMEOUT, MOST_KEYS, advance, fingerprint
from tests.operator.bench import Bench
from tests.operator.rotating import ask, read_by_pods, ring, rotate, state, write_ring
from tests.operator.samples import DEMO, KEY, chatstream
from tests.operator.test_reconcile_status import make_ready

ENCRYPTED = {**DEMO, "sessions": {"encrypt": True}}
RETAINED = {**DEMO, "sessions": {"retain": True}}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def notes(bench: Bench) -> dict[str, str]:
    events = [obj for place, obj in bench.kube.objects.items() if place[0] == EVENT]
    return {one["reason"]: one["note"] for one in events}


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


async def test_a_secret_that_changed_before_the_write_is_read_again(bench: Bench) -> None:
    await make_ready(bench)
    bench.annotate(rotate_keys="a")
    bench.sync()
    mine = ["mine" * 8, *ring(bench)]
    write_ring(bench, *mine)
    await bench.reconciler.reconcile(KEY)
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
    bench.kube.fail("patch", SECRET, *[Refused("field is immutable", status=422)] * 2)
    for writes in (["patch", "apply_status"], ["patch"]):
        assert await bench.reconcile() is None  # until the resync: no write is to be repeated all the time
        assert [method for method, _, _ in bench.kube.writes()] == writes
    assert "tried again: field is immutable" in bench.condition("SessionsReady")["message"]
    await bench.settle()
    assert len(ring(bench)) == 2


async def test_a_request_that_finds_no_room_is_told_and_writes_nothing(bench: Bench) -> None:
    await make_ready(bench)
    write_ring(bench, *(f"key number {number:05}" for number in range(MOST_KEYS)))
    bench.annotate(rotate_keys="a")
    assert await bench.settle() is None
    assert len(ring(bench)) == MOST_KEYS
    message = bench.condition("SessionsReady")["message"]
    assert f"asked for (a), but session-keys holds {MOST_KEYS} or more: wait until" in message


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
