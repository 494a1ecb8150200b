"""A generation as data: its tokens, their times, its end; and the tokenizer beneath."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.engines.demo import Reply, Script, Token
from chatstream.engines.demo.plan import Plan, build_plan
from chatstream.engines.demo.tokenizer import BOS_ID, TextPiece, Tokenizer

SCRIPT = Script(delay_ms=20, prefill_ms=50)
TOKENIZER = Tokenizer({}, {})


def plan(prompt: str, *, limit: int = 1000, stop: tuple[str, ...] = (), script: Script = SCRIPT) -> Plan:
    return build_plan(script, prompt, max_new_tokens=limit, stop=stop)


def texts(made: Plan) -> list[str]:
    return [token.text for token in made.tokens]


def test_the_script_paces_and_directives_pace_otherwise() -> None:
    made = plan("a")
    assert [made.due(index) for index in (0, 1, 2)] == pytest.approx([0.05, 0.07, 0.09])
    assert plan("[[prefill=10]][[delay=0]]").due(9) == pytest.approx(0.01)


def test_the_same_prompt_gives_the_same_plan() -> None:
    assert plan("Tell me [[delay=3]]") == plan("Tell me [[delay=3]]")


@pytest.mark.parametrize(
    ("prompt", "limit", "stop", "count", "reason"),
    [
        ("[[tokens=4]]", 9, (), 4, "eos_token"),
        ("[[tokens=4]]", 4, (), 4, "length"),
        ("[[tokens=4]]", 2, (), 2, "length"),
        ("[[tokens=4]]", 9, ("tok2 ",), 2, "stop_sequence"),
        ("[[tokens=4]]", 9, ("k1 tok2 ",), 2, "stop_sequence"),
        ("[[tokens=4]]", 9, ("absent", "tok3 "), 3, "stop_sequence"),
        ("[[tokens=4]]", 9, ("tok2",), 4, "eos_token"),  # TGI looks only at where a token ends
        ("[[tokens=4]]", 2, ("tok2 ",), 2, "length"),  # the length comes first
        ("[[tokens=0]]", 9, (), 1, "eos_token"),
    ],
)
def test_how_it_ends(prompt: str, limit: int, stop: tuple[str, ...], count: int, reason: str) -> None:
    made = plan(prompt, limit=limit, stop=stop)
    assert (len(made.tokens), made.finish_reason, made.ending) == (count, reason, "end")


@pytest.mark.parametrize(
    ("prompt", "count", "ending"),
    [
        ("[[tokens=4]][[fail=2]]", 2, "fail"),
        ("[[tokens=4]][[fail=0]]", 0, "fail"),
        ("[[tokens=4]][[fail=9]]", 4, "fail"),
        ("[[tokens=4]][[hang=3]]", 3, "hang"),
        ("[[tokens=4]][[hang=3]][[fail=2]]", 2, "fail"),
        ("[[tokens=4]][[hang=1]][[fail=2]]", 1, "hang"),
    ],
)
def test_what_comes_in_place_of_an_end(prompt: str, count: int, ending: str) -> None:
    made = plan(prompt)
    assert (len(made.tokens), made.ending) == (count, ending)


def test_scripted_tokens_are_given_as_they_are_and_special_ones_are_not_in_the_text() -> None:
    tokens = (Token(1, "<s>", special=True), Token(7, "a"), Token(8, ""), Token(9, "b"))
    script = Script(replies=(Reply(contains="other", text="x"), Reply(contains="as", tokens=tokens)))
    made = plan("ask", script=script)
    assert made.tokens[:-1] == tokens
    assert (texts(made)[-1], made.text, made.finish_reason) == ("</s>", "ab", "eos_token")
    assert "".join(texts(plan("other", script=script))) == "x</s>"
    assert plan("unmatched", script=script).text.startswith("You asked: unmatched")


def test_a_scripted_end_of_sequence_ends_it() -> None:
    tokens = (Token(7, "a"), Token(2, "</s>", special=True), Token(9, "b"))
    assert plan("x", script=Script(replies=(Reply(tokens=tokens),))).text == "a"


@given(st.text(min_size=1))
def test_an_echo_is_the_prompt(text: str) -> None:
    prompt = f"{text}<|im_start|>user\n[[echo]]{text.replace('[', '')}"
    made = plan(prompt, limit=10_000, stop=("a", "\n"))
    assert made.text == prompt


@given(st.text())
def test_tokens_are_the_text_in_pieces(text: str) -> None:
    tokens = TOKENIZER.encode(text)
    assert tokens[0] == TextPiece(BOS_ID, "", 0, 0)
    assert "".join(token.text for token in tokens) == text
    assert all(text[token.start : token.stop] == token.text for token in tokens)
    assert len(tokens) == TOKENIZER.count(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is Deep Learning?", ["What", " is", " Deep", " Learning", "?"]),
        ("a<|im_end|>\nb", ["a", "<|im_end|>", "\n", "b"]),
        ("x <|im_start|>", ["x", " ", "<|im_start|>"]),
        ("abcdefghijklmnop", ["abcdefghijkl", "mnop"]),
        ("snake_case, 3.5", ["snake", "_", "case", ",", " 3", ".", "5"]),
        ("日本語🎉", ["日本語", "🎉"]),
        ("", []),
    ],
)
def test_words_marks_and_markers(text: str, expected: list[str]) -> None:
    assert list(TOKENIZER.split(text)) == expected


def test_a_vocabulary_and_split_words() -> None:
    tokenizer = Tokenizer({"de": 5}, {"deep": ("de", "ep")})
    assert tokenizer.encode("deep", bos=False)[0].id == 5
    assert tokenizer.count("deep deep") == 1 + 2 + 1


def test_ids_are_the_same_in_every_process() -> None:
    assert [token.id for token in TOKENIZER.encode("Hello, world")] == [1, 2690, 23662, 17355]
