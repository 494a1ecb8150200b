"""Where directives are found, and which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.engines.demo.directives import (
    Directives,
    last_user_message,
    parse_directives,
    without_directives,
)

CHATML = "<|im_start|>system\nS<|im_end|>\n{turns}<|im_start|>assistant\n"
PROMPTS = {
    "chatml": (
        "<|im_start|>system\nBe kind [[tokens=9]]<|im_end|>\n<|im_start|>user\nfirst [[tokens=1]]<|im_end|>\n"
        "<|im_start|>assistant\nreply [[tokens=2]]<|im_end|>\n<|im_start|>user\nlast\nline<|im_end|>\n"
        "<|im_start|>assistant\n"
    ),
    "llama3": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nfirst<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nreply<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nlast\nline<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "zephyr": "<|system|>\nBe kind</s>\n<|user|>\nfirst</s>\n<|assistant|>\nreply</s>\n"
    "<|user|>\nlast\nline</s>\n<|assistant|>\n",
    "llama2": "<s>[INST] first [/INST] reply </s><s>[INST] last\nline [/INST]",
    "plain": "System: Be kind\n\nUser: first\n\nAssistant: reply\n\nUser: last\nline\n\nAssistant:",
    "human": "Human: first\nAssistant: reply\nHuman: last\nline\nAssistant: ",
    "none": "last\nline",
}


@pytest.mark.parametrize("template", PROMPTS)
def test_the_last_user_message_of_every_template(template: str) -> None:
    assert last_user_message(PROMPTS[template]) == "last\nline"


def test_an_unfinished_message_goes_to_the_end() -> None:
    assert last_user_message("<|im_start|>user\nlast\nline") == "last\nline"


def test_plain_speakers_inside_a_message_open_nothing_where_markers_rule() -> None:
    prompt = CHATML.format(turns="<|im_start|>user\nUser: nested\nAssistant: x<|im_end|>\n")
    assert last_user_message(prompt) == "User: nested\nAssistant: x"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("nothing", Directives()),
        ("a [[tokens=12]] b", Directives(tokens=12)),
        ("[[delay=20]]", Directives(delay=0.02)),
        ("[[delay=0.5]][[prefill=1500]]", Directives(delay=0.0005, prefill=1.5)),
        ("[[echo]]", Directives(echo=True)),
        ("[[fail=0]]", Directives(fail=0)),
        ("[[hang=3]][[tokens=5]]", Directives(hang=3, tokens=5)),
        ("[[tokens=1]] [[tokens=2]]", Directives(tokens=2)),
        ("[[tokens=-1]] [[tokens=]] [[tokens=x]] [tokens=1] [[ tokens=1 ]] [[nothing=1]]", Directives()),
        ("[[tokens=99999999999]]", Directives()),
    ],
)
def test_directives(message: str, expected: Directives) -> None:
    assert parse_directives(message) == expected


def test_what_is_asked_without_its_directives() -> None:
    assert without_directives(" Hello [[tokens=3]][[echo]] there [[delay=1.5]]") == "Hello  there"


@given(st.text())
def test_any_text_is_searched_without_an_error(text: str) -> None:
    parse_directives(last_user_message(text))


def test_a_long_prompt_of_opening_markers_is_searched_in_little_time() -> None:
    """Each pattern scans forward once: a prompt of many markers must not take quadratic time."""
    prompt = "<|im_start|>user\nx<|im_end|>\n" * 20_000 + "[INST]" * 20_000
    assert last_user_message(prompt) == "x"
