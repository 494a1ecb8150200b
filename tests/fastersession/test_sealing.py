"""Sealed texts: they open in their place with their key, and nowhere else."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastersession import InvalidSessionData, KeyRing
from fastersession.sealing import OVERHEAD, Sealer

OLD, NEW = "old-key-0123456789", "new-key-0123456789"
SECRET = "the-words-of-a-user"
SEALER = Sealer(KeyRing(OLD))
SEALED = SEALER.place("place", "1").seal(SECRET)
PLACES = st.lists(st.text(max_size=5), max_size=3).map(tuple)


@given(st.text(), PLACES)
@example("", ())
@example("grüße 👋", ("a",))
def test_what_was_sealed_opens(text: str, place: tuple[str, ...]) -> None:
    sealed = SEALER.place(*place).seal(text)
    assert SEALER.place(*place).open(sealed) == text
    assert len(f'"{sealed}"') <= 4 * len(text.encode()) / 3 + OVERHEAD
    assert json.loads(f'"{sealed}"') == sealed


@given(PLACES, PLACES)
@example(("ab", "c"), ("a", "bc"))
@example(("a",), ("a", ""))
@example(("a,b",), ("a", "b"))
def test_it_opens_nowhere_else(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    sealed = SEALER.place(*one).seal("x")
    if one != other:
        with pytest.raises(InvalidSessionData, match="belongs elsewhere"):
            SEALER.place(*other).open(sealed)


@given(st.integers(0, len(SEALED) - 1), st.characters(), st.integers(0, 1))
def test_any_other_character_is_noticed(at: int, character: str, width: int) -> None:
    changed = SEALED[:at] + character + SEALED[at + width :]
    if changed != SEALED:
        with pytest.raises(InvalidSessionData) as caught:
            SEALER.place("place", "1").open(changed)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("text", ["", "a", "ab"])
def test_base64_has_one_spelling(text: str) -> None:
    """Its last characters have bits to spare, by which several spellings mean the same bytes."""
    sealed = SEALER.place("p").seal(text)
    for at in range(len(sealed) - 4, len(sealed)):
        for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_":
            if character != sealed[at]:
                with pytest.raises(InvalidSessionData):
                    SEALER.place("p").open(sealed[:at] + character + sealed[at + 1 :])


@given(st.integers(0, len(SEALED) - 1))
def test_a_part_is_noticed(length: int) -> None:
    for part in (SEALED[:length], SEALED[length + 1 :]):
        with pytest.raises(InvalidSessionData):
            SEALER.place("place", "1").open(part)


@given(st.text() | st.from_regex(r"[0-9a-f]{8}\.[A-Za-z0-9+/]{0,60}={0,2}", fullmatch=True))
def test_nothing_else_opens(text: str) -> None:
    with pytest.raises(InvalidSessionData):
        SEALER.place("place", "1").open(text)


def test_the_same_is_sealed_otherwise_each_time() -> None:
    assert len({SEALER.place("place").seal("same") for _ in range(100)}) == 100


def test_another_key_opens_nothing_and_is_named() -> None:
    with pytest.raises(InvalidSessionData) as caught:
        Sealer(KeyRing(NEW)).place("place", "1").open(SEALED)
    assert KeyRing(OLD).fingerprints()[0] in str(caught.value)
    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)


def test_keys_are_replaced_while_they_are_in_use() -> None:
    ring = KeyRing(OLD)
    sealer = Sealer(ring)
    before = sealer.place("p").seal("a")
    ring.replace([NEW, OLD])
    after = sealer.place("p").seal("b")
    assert (sealer.place("p").open(before), sealer.place("p").open(after)) == ("a", "b")
    assert [text.partition(".")[0] for text in (after, before)] == list(ring.fingerprints())
    ring.replace(NEW)
    assert sealer.place("p").open(after) == "b"
    with pytest.raises(InvalidSessionData, match="is not there"):
        sealer.place("p").open(before)


def test_a_key_for_cookies_seals_nothing_that_they_show() -> None:
    """One key may serve both: what is derived from it for the one tells nothing of the other."""
    ring = KeyRing(OLD)
    assert ring.derived(b"fastersession.encryption") != ring.derived(b"fastersession.session-id")
