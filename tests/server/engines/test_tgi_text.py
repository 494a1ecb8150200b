"""Unfinished characters: none is shown in halves, none is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.engines.tgi.text import TextAssembler

HALF = "\ufffd"


def shown(pieces: list[str], whole: str | None, *, cut: bool = False) -> list[str]:
    assembler = TextAssembler()
    return [*(assembler.push(piece) for piece in pieces), assembler.finish(whole, cut=cut)]


@pytest.mark.parametrize(
    ("pieces", "whole", "expected"),
    [
        (["a", "", "é", "b"], "aéb", "aéb"),  # TGI's own manner
        (["a", HALF, "é", "b"], "aéb", "aéb"),  # a stand-in that the next token completes
        (["a", HALF, HALF, "🎉"], "a🎉", "a🎉"),
        (["a" + HALF, "é"], "aé", "aé"),
        (["a", HALF, HALF], "aé", "aé"),  # two halves that only the whole text puts together
        (["a", HALF, " b"], f"a{HALF} b", f"a{HALF} b"),  # one that was meant so
        (["a", HALF], f"a{HALF}", f"a{HALF}"),
        (["a", HALF], None, f"a{HALF}"),
        (["a", HALF], "something else", f"a{HALF}"),
        (["a", ""], "aé", "aé"),  # the tail came only with the whole text
        (["a", "b"], "", "ab"),
    ],
)
def test_6_characters_are_never_shown_in_halves(pieces: list[str], whole: str | None, expected: str) -> None:
    assert "".join(shown(pieces, whole)) == expected


@pytest.mark.parametrize("whole", [f"a{HALF}", "a", "", None])
def test_6_a_character_that_the_length_limit_split_is_not_shown(whole: str | None) -> None:
    assert "".join(shown(["a", HALF], whole, cut=True)) == "a"


@given(st.lists(st.text(max_size=4).filter(lambda text: HALF not in text)))
def test_plain_text_passes_at_once_and_unchanged(pieces: list[str]) -> None:
    assert shown(pieces, "".join(pieces)) == [*pieces, ""]


@given(st.lists(st.text(alphabet=["a", "é", " ", HALF], max_size=3)))
def test_any_pieces_are_shown_without_an_error(pieces: list[str]) -> None:
    result = shown(pieces, None)
    assert all(not piece.endswith(HALF) for piece in result[:-1])
