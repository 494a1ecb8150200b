"""Events as bytes, and stop strings that nobody sees."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.framing import KEEP_ALIVE, StopFilter, encode_deltas, encode_event
from tests.server.support.events import parse_events, text_of

TEXTS = st.lists(st.text(), max_size=8)


@given(TEXTS)
def test_04f_any_text_comes_out_as_it_went_in(texts: list[str]) -> None:
    events = parse_events(encode_deltas(texts).decode())
    assert [event.data["delta"] for event in events] == texts


@given(st.lists(st.text(alphabet=st.characters(categories=["Cs", "L", "Cc"]))))
def test_04g_lone_surrogates_and_line_ends_break_no_event(texts: list[str]) -> None:
    lines = encode_deltas(texts).decode().split("\n")
    deltas = [json.loads(line.removeprefix("data: "))["delta"] for line in lines if line]
    assert deltas == texts


def test_events_are_named_and_comments_are_none() -> None:
    assert encode_event("queued", {"position": 2}) == b'event: queued\ndata: {"position":2}\n\n'
    assert parse_events(KEEP_ALIVE.decode()) == []


STOPS = ["ab", "abc", "b\nc", "}}", "aab"]


@given(st.text(alphabet="abc}\n", max_size=30), st.lists(st.sampled_from(STOPS), unique=True), st.data())
def test_06g_what_is_shown_never_depends_on_how_the_text_was_split(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stop_filter = StopFilter(stops)
    shown = "".join(part for piece in pieces for part in stop_filter.feed([piece]))
    assert not any(stop in shown for stop in stops)
    shown += stop_filter.flush()
    firsts = [text.find(stop) for stop in stops if stop in text]
    assert shown == (text[: min(firsts)] if firsts else text)
    assert stop_filter.stopped == bool(firsts)


def test_06h_nothing_that_may_become_a_stop_string_is_shown() -> None:
    stop_filter = StopFilter(["<|im_end|>"])
    assert stop_filter.feed(["Hi <", "|im", "_end", "|", "> more"]) == ["Hi "]
    assert stop_filter.stopped


def test_an_echo_of_the_prompt_keeps_its_markers_until_it_differs() -> None:
    stop_filter = StopFilter(["<|im_end|>"], "<|im_start|>hi<|im_end|>\n")
    shown = stop_filter.feed(["<|im_start|>", "hi", "<|im_end|>", "\n", "more", "<|im_end|>", "never"])
    assert "".join(shown) == "<|im_start|>hi<|im_end|>\nmore"


@pytest.mark.parametrize("first", ["<|im_start|>", "<|im_start|>user\n", "<|im", "Hi <|im_start|>"])
def test_06m_a_reply_that_begins_as_the_prompt_does_shows_no_stop_string(first: str) -> None:
    prompt = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    stop_filter = StopFilter(["<|im_end|>", "<|im_start|>"], prompt)
    shown = stop_filter.feed([first, "_start|>" if first == "<|im" else "", "Sure!", "more"])
    assert "".join(shown) == ("Hi " if first.startswith("Hi") else "")
    assert stop_filter.stopped


def test_06n_a_reply_that_only_looks_like_an_echo_loses_nothing() -> None:
    stop_filter = StopFilter(["\nUser:"], "User: hi\nUser: yes\nAssistant:")
    assert "".join(stop_filter.feed(["User", ": h", "i\nUs", "age is high"])) == "User: hi\nUsage is high"


def test_a_stop_string_may_be_long() -> None:
    stop_filter = StopFilter(["x" * 600])
    assert stop_filter.feed(["x" * 599]) == []
    assert stop_filter.feed(["yx" + "x" * 599]) == ["x" * 599 + "y"]
    assert stop_filter.stopped


def test_without_stop_strings_everything_passes() -> None:
    assert text_of(parse_events(encode_deltas(StopFilter([]).feed(["a", "", "b"])).decode())) == "ab"
