"""The harness itself: what it reads wrongly no suite would notice. Needs no cluster."""

import pytest

from harness.exposition import Samples, risen
from harness.forwarder import with_forwarded_proto
from harness.manifests import build_chatstream
from harness.sse import EventReader
from harness.waiting import eventually

STREAM = b': keep-alive\n\ndata: {"delta":"a"}\n\nevent: done\ndata: {"finish_reason":\ndata: "stop"}\n\n'


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_events_are_the_same_however_the_bytes_are_cut(at: int) -> None:
    reader = EventReader()
    events = [*reader.feed(STREAM[:at], 1.0), *reader.feed(STREAM[at:], 2.0)]
    assert [(e.name, e.data) for e in events] == [
        ("message", {"delta": "a"}),
        ("done", {"finish_reason": "stop"}),
    ]
    assert (reader.comments, reader.unfinished) == (1, b"")


def test_an_event_without_its_empty_line_is_unfinished() -> None:
    reader = EventReader()
    assert reader.feed(b'data: {"delta":"a"}\n', 1.0) == []
    assert reader.unfinished != b""


def test_the_forwarder_overrules_what_the_client_says_of_the_scheme() -> None:
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nX-Forwarded-Proto: http\r\n\r\n"
    lines = with_forwarded_proto(head).split(b"\r\n")
    assert lines[0] == b"POST /x HTTP/1.1"
    assert sorted(lines[1:-2]) == [b"Connection: close", b"Host: h", b"X-Forwarded-Proto: https"]
    assert lines[-2:] == [b"", b""]


def test_metrics_are_summed_by_the_labels_asked_for() -> None:
    samples = Samples.parse(
        '# TYPE a counter\na_total{x="1",y="1"} 2\na_total{x="1",y="2"} 3\na_total{x="2"} 0\n'
    )
    assert samples.value("a_total") == 5
    assert samples.value("a_total", y="2") == 3
    assert samples.value("b_total") == 0
    assert samples.by("a_total", "x") == {"1": 5}


def test_a_counter_that_vanished_or_stood_still_is_told_apart() -> None:
    assert risen({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 1}) == {"b": 1, "c": 1}
    assert risen({"a": 1}, {}) == {"a": -1}


def test_changes_are_merged_into_the_spec_and_leave_the_rest() -> None:
    spec = build_chatstream("n", "c", engine={"gpu": {"count": 1}}, replicas=2)["spec"]
    assert spec["engine"] == {"type": "Demo", "gpu": {"count": 1}}
    assert spec["replicas"] == 2
    assert spec["sessions"] == {"cookie": {"secure": False}}


async def test_waiting_in_vain_tells_what_was_seen() -> None:
    async def probe() -> int:
        return 7

    with pytest.raises(AssertionError, match=r"after 0\.05 s still not: eight; last seen: 7"):
        await eventually(probe, lambda n: n == 8, what="eight", within=0.05, every=0.01)
