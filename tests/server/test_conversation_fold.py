"""A conversation is only ever added to: what its entries come to equals a plain list that was changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream import ChatPrompt
from chatstream.prompts.fold import Fold, folded
from tests.server.support.conversations import OPERATIONS, Operation, apply, lines, played


@given(OPERATIONS, st.none() | st.integers(1, 4))
def test_23l_any_operations_come_to_the_plain_lists(operations: list[Operation], most: int | None) -> None:
    prompt, model = played(operations, most)
    assert lines(prompt.get_contents()) == model.examples + model.last_turns(most)
    assert lines(folded(prompt.journal)) == model.lines
    assert prompt.system == model.system
    again = ChatPrompt.from_json(json.loads(json.dumps(prompt.to_json())))
    assert again.get_contents() == prompt.get_contents()
    assert again.to_json() == prompt.to_json()


@given(OPERATIONS, st.none() | st.integers(1, 4))
def test_23m_a_copy_goes_its_own_way(operations: list[Operation], most: int | None) -> None:
    middle = len(operations) // 2
    prompt, model = played(operations[:middle], most)
    twin, before = prompt.copy(), prompt.get_contents()
    for operation in operations[middle:]:
        apply(twin, operation)
        model.apply(operation)
    assert prompt.get_contents() == before
    assert lines(twin.get_contents()) == model.examples + model.last_turns(most)
    assert lines(folded(twin.journal)) == model.lines


@given(OPERATIONS)
def test_23n_a_part_of_the_entries_comes_to_the_newest_whole_turns(operations: list[Operation]) -> None:
    prompt, _ = played(operations)
    entries, whole = list(prompt.journal), folded(prompt.journal)
    for size in range(len(entries)):
        known = folded(entries[len(entries) - size :], begins_anywhere=True)
        assert known == whole[len(whole) - len(known) :]
        assert not known or known[0].role == "user"


@given(OPERATIONS, st.integers(0, 5))
def test_23o_however_often_it_was_regenerated_the_last_turn_is_among_the_newest_entries(
    operations: list[Operation], times: int
) -> None:
    prompt, _ = played([*operations, ("ask", "last"), ("answer", "0", False)])
    for number in range(times):
        prompt.regenerate()
        prompt.add_responder_msg(f"{number + 1}")
    newest = list(prompt.journal)[-2:]
    assert [message.text for message in folded(newest, begins_anywhere=True)] == ["last", str(times)]


@given(OPERATIONS)
def test_23p_page_by_page_a_message_comes_out_once_and_nothing_that_was_taken_back(
    operations: list[Operation],
) -> None:
    prompt, model = played(operations)
    fold, out = Fold(), []
    for entry in prompt.journal:
        out += fold.feed(entry)
        assert [message.role for message in fold.rest()].count("user") <= 1
    assert lines(out + fold.rest()) == model.lines


def test_23q_what_is_taken_back_must_be_of_the_last_turn() -> None:
    """Where two appended at the same time, nobody's words are lost."""
    prompt = ChatPrompt()
    first = prompt.add_requester_msg("one")
    prompt.add_requester_msg("two")
    kept = folded([*prompt.journal, {"drop": [first.id, "unknown"]}])
    assert [message.text for message in kept] == ["one", "two"]


@pytest.mark.parametrize("entry", ["text", 1, None, [], {}, {"drop": "id"}, {"role": "system", "text": "x"}])
def test_23r_what_is_no_entry_is_refused(entry: object) -> None:
    with pytest.raises(ValueError, match="stored"):
        folded([entry])


@pytest.mark.parametrize(
    "setting", [{"max_turns": 1.5}, {"max_turns": True}, {"max_turns": "2"}, {"system": ["Be kind."]}]
)
def test_a_setting_of_the_wrong_type_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="wrong type"):
        ChatPrompt.from_json(ChatPrompt().to_stored() | setting)


VERSION_1 = {
    "version": 1,
    "template": "plain",
    "system": "Be kind.",
    "own_system": True,
    "max_turns": 2,
    "messages": [
        {"id": "e1", "role": "user", "text": "2+2?", "example": True},
        {"id": "e2", "role": "assistant", "text": "4", "example": True},
        {"id": "m1", "role": "user", "text": "hi"},
        {"id": "m2", "role": "assistant", "text": "hel", "incomplete": True},
    ],
}


def test_23s_version_1_is_read_and_written_as_version_2() -> None:
    prompt = ChatPrompt.from_json(VERSION_1)
    assert prompt.create_prompt() == (
        "System: Be kind.\nUser: 2+2?\nAssistant: 4\nUser: hi\nAssistant: hel\nAssistant:"
    )
    assert prompt.own_system
    assert [entry["id"] for entry in prompt.journal] == ["m1", "m2"]
    told = prompt.to_json()
    assert (told["version"], len(told["examples"]), len(told["messages"])) == (2, 2, 2)
    assert ChatPrompt.from_json(told).get_contents() == prompt.get_contents()


def test_23t_a_longer_memory_finds_what_a_shorter_one_left_out() -> None:
    prompt = ChatPrompt("plain", max_turns=1)
    for number in range(3):
        prompt.add_requester_msg(f"question {number}")
        prompt.add_responder_msg(f"answer {number}")
    assert prompt.turns == 1
    longer = prompt.configured("plain", None, 2)
    assert [message.text for message in longer.get_contents()][::2] == ["question 1", "question 2"]
    assert longer.configured("plain", None, None).turns == 3
