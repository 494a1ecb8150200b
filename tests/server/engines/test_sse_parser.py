"""The parser of server-sent events, against a reference that sees all the bytes at once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.engines.sse import SSEParser
from chatstream.errors import EngineFailed

LINES = st.one_of(
    st.binary(max_size=12)
    .filter(lambda line: b"\n" not in line and b"\r" not in line)
    .map(lambda b: b"data:" + b),
    st.sampled_from(
        [b"", b"", b":", b": keep-alive", b"data", b"data: ", b"data:  x", b"event: token", b"id: 1"]
    ),
    st.binary(max_size=8).filter(lambda line: b"\n" not in line and b"\r" not in line),
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"])), max_size=30).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def reference(stream: bytes) -> list[bytes]:
    """The specification, followed line by line."""
    events: list[bytes] = []
    data: list[bytes] = []
    for line in stream.split(b"\n")[:-1]:
        line = line.removesuffix(b"\r")
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            events.append(b"\n".join(data))
            data = []
    return events


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(edges)]


@given(STREAMS, st.lists(st.integers(0, 400), max_size=20))
def test_the_events_do_not_depend_on_how_the_bytes_were_split(stream: bytes, cuts: list[int]) -> None:
    parser = SSEParser()
    assert [event for part in split(stream, cuts) for event in parser.feed(part)] == reference(stream)


def test_every_single_split_and_byte_by_byte_of_a_real_stream() -> None:
    stream = 'data: {"text":"é🎉"}\n\n:\n\ndata:{"text":"b"}\r\n\r\ndata: 1\ndata: 2\n\n'.encode()
    expected = ['{"text":"é🎉"}'.encode(), b'{"text":"b"}', b"1\n2"]
    for cut in range(len(stream) + 1):
        parser = SSEParser()
        assert parser.feed(stream[:cut]) + parser.feed(stream[cut:]) == expected
    parser = SSEParser()
    assert [event for byte in stream for event in parser.feed(bytes([byte]))] == expected


@given(st.lists(st.binary(max_size=64), max_size=30))
def test_garbage_gives_events_or_a_typed_error_and_holds_no_more_than_the_limit(chunks: list[bytes]) -> None:
    parser = SSEParser(longest_event=100)
    for chunk in chunks:
        try:
            parser.feed(chunk)
        except EngineFailed:
            break
        held = sum(map(len, parser._line)) + sum(map(len, parser._data))
        assert held <= 100


@pytest.mark.parametrize("part", [b"x" * 30, b"data: " + b"x" * 30 + b"\n"])
def test_an_event_that_never_ends_is_refused(part: bytes) -> None:
    parser = SSEParser(longest_event=100)
    for _ in range(2):
        assert parser.feed(part) == []
    with pytest.raises(EngineFailed, match="longer than 100 bytes"):
        parser.feed(part * 2)


def test_the_limit_is_for_one_event_and_not_for_the_stream() -> None:
    parser = SSEParser(longest_event=100)
    for _ in range(50):
        assert parser.feed(b"data: " + b"x" * 80 + b"\n\n") == [b"x" * 80]
