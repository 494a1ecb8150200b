"""ChatPrompt: what it keeps, what an engine reads of it, and what fits."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream import ChatPrompt
from chatstream.errors import EngineRejected, InputTooLong, NothingToRegenerate
from chatstream.prompts import TEMPLATES, TemplateName, fit

NAMES = get_args(TemplateName)


def conversation(template: TemplateName = "plain", turns: int = 2, **options: object) -> ChatPrompt:
    prompt = ChatPrompt(template, "Be kind.", **options)  # type: ignore[arg-type]
    for number in range(turns):
        prompt.add_requester_msg(f"question {number}")
        prompt.add_responder_msg(f"answer {number}")
    return prompt


def test_22a_presets() -> None:
    expected = {
        "chatml": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
        "<|im_start|>assistant\n",
        "llama3": "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "plain": "System: Be kind.\nUser: hi\nAssistant:",
    }
    for name in NAMES:
        prompt = ChatPrompt(name, "Be kind.")
        prompt.add_requester_msg("hi")
        assert prompt.create_prompt() == expected[name]
        assert prompt.stops == TEMPLATES[name].stops


def test_22b_contents_up_to_a_message_and_without_the_last() -> None:
    prompt = conversation()
    messages = prompt.get_contents()
    assert [message.text for message in messages] == ["question 0", "answer 0", "question 1", "answer 1"]
    assert prompt.get_contents(omit_last_message=True) == messages[:-1]
    assert prompt.get_contents(to_message_id=messages[1].id) == messages[:2]
    with pytest.raises(KeyError):
        prompt.get_contents(to_message_id="unknown")
    assert "answer 1" not in prompt.create_prompt(omit_last_message=True)


def test_22c_counts_and_clearing() -> None:
    prompt = conversation(turns=3)
    prompt.add_example("2+2?", "4")
    prompt.add_requester_msg("more")
    assert (prompt.turns, prompt.replies) == (4, 3)
    prompt.clear_context()
    assert (prompt.turns, prompt.replies, prompt.system) == (0, 0, "Be kind.")
    assert [message.text for message in prompt.get_contents()] == ["2+2?", "4"]


def test_22d_a_system_message_of_the_conversation_outlives_the_configured_one() -> None:
    prompt = conversation()
    assert prompt.configured("chatml", "New.", 5).system == "New."
    prompt.set_system("Mine.")
    again = ChatPrompt.from_json(prompt.to_json())
    assert again.configured("chatml", "New.", 5).system == "Mine."


def test_20a_regenerate_takes_the_last_reply_and_never_an_example() -> None:
    prompt = ChatPrompt()
    prompt.add_example("2+2?", "4")
    with pytest.raises(NothingToRegenerate):
        prompt.regenerate()
    prompt.add_requester_msg("hi")
    assert prompt.regenerate() is None
    reply = prompt.add_responder_msg("hello")
    assert prompt.regenerate() == reply
    assert prompt.get_contents()[-1].text == "hi"


def test_20f_a_greeting_answers_nothing_and_stays() -> None:
    prompt = ChatPrompt()
    prompt.add_responder_msg("How can I help?")
    with pytest.raises(NothingToRegenerate):
        prompt.regenerate()
    assert prompt.replies == 1


def test_21a_an_empty_reply_is_no_message() -> None:
    with pytest.raises(ValueError, match="without text"):
        ChatPrompt().add_responder_msg("")


MESSAGES = st.lists(st.tuples(st.booleans(), st.text(min_size=1), st.booleans()))


@given(MESSAGES, st.sampled_from(NAMES), st.none() | st.text(), st.none() | st.integers(1, 5))
def test_23a_round_trips_through_json_with_ids(
    messages: list[tuple[bool, str, bool]], name: TemplateName, system: str | None, most: int | None
) -> None:
    prompt = ChatPrompt(name, system, most)
    for asks, text, incomplete in messages:
        if asks:
            prompt.add_requester_msg(text)
        else:
            prompt.add_responder_msg(text, incomplete=incomplete)
    again = ChatPrompt.from_json(json.loads(json.dumps(prompt.to_json())))
    assert again.get_contents() == prompt.get_contents()
    assert again.create_prompt() == prompt.create_prompt()
    assert again.to_json() == prompt.to_json()


@pytest.mark.parametrize(
    "change", [{"version": 3}, {"version": None}, {"template": "mystery"}, {"messages": [{"role": "system"}]}]
)
def test_23b_another_version_or_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        ChatPrompt.from_json({**conversation().to_json(), **change})


def test_23c_the_oldest_whole_turns_go_beyond_max_turns() -> None:
    prompt = conversation(turns=5, max_turns=2)
    assert [message.text for message in prompt.get_contents()] == [
        "question 3",
        "answer 3",
        "question 4",
        "answer 4",
    ]


async def count_words(text: str) -> int:
    return len(text.split())


async def test_23d_the_token_budget_drops_the_oldest_turns_and_no_more() -> None:
    prompt = conversation(turns=20)
    prompt.add_requester_msg("last")
    whole = await count_words(prompt.create_prompt())
    for budget in range(8, whole + 1):
        text = await fit(prompt, budget, count_words)
        kept = text.count("question")
        assert await count_words(text) <= budget
        assert text.startswith("System: Be kind.\n")
        assert text.endswith("User: last\nAssistant:")
        longer = conversation(turns=20)
        longer.add_requester_msg("last")
        for _ in range(19 - kept):
            longer.drop_oldest_turn()
        assert kept == 20 or await count_words(longer.create_prompt()) > budget
    assert prompt.turns == 21


async def test_23e_an_input_too_long_alone_is_refused() -> None:
    prompt = conversation(turns=3)
    prompt.add_requester_msg("far too long for this")
    with pytest.raises(InputTooLong):
        await fit(prompt, 6, count_words)


async def test_23f_a_short_text_is_never_counted() -> None:
    counted: list[str] = []

    async def count(text: str) -> int:
        counted.append(text)
        return len(text)

    prompt = conversation()
    await fit(prompt, 10_000, count)
    assert counted == []
    await fit(prompt, len(prompt.create_prompt()), count)
    assert len(counted) == 1


async def test_23k_a_history_too_long_to_be_counted_shuts_nobody_out() -> None:
    async def count(text: str) -> int:
        if len(text) > 300:
            raise EngineRejected("Failed to buffer the request body: length limit exceeded")
        return await count_words(text)

    prompt = conversation(turns=20)
    prompt.add_requester_msg("last")
    text = await fit(prompt, 60, count)
    assert 200 < len(text) <= 300
    alone = conversation(turns=0)
    alone.add_requester_msg("x" * 301)
    with pytest.raises(InputTooLong):
        await fit(alone, 60, count)


MARKERS = st.sampled_from(
    [
        "<|im_start|>",
        "<|im_end|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|",
        "|>",
        "\nUser:",
        "\n",
        "user :",
        "\nSystem:",
        "ASSISTANT:",
        "\r",
        "im_end",
        "\u2028System:",
        " ",
        "x",
    ]
)


@given(st.lists(MARKERS, max_size=12).map("".join), st.sampled_from(NAMES), st.booleans())
def test_23g_role_markers_in_a_text_open_no_turn(text: str, name: TemplateName, reply: bool) -> None:
    def rendered(said: str) -> str:
        prompt = ChatPrompt(name, "Be kind.")
        prompt.add_requester_msg("hi" if reply else said)
        if reply:
            prompt.add_responder_msg(said)
        return prompt.create_prompt()

    if not text:
        return
    marker = TEMPLATES[name].marker
    assert len(marker.findall(rendered(text))) == len(marker.findall(rendered("x")))


def test_23h_what_was_typed_is_kept_as_it_was() -> None:
    prompt = ChatPrompt()
    prompt.add_requester_msg("<|im_end|>")
    assert prompt.get_contents()[0].text == "<|im_end|>"
    assert "<| im_end |>" in prompt.create_prompt()


@pytest.mark.parametrize("wrong", [{"template": "mystery"}, {"max_turns": 0}])
def test_wrong_arguments(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        ChatPrompt(**wrong)  # type: ignore[arg-type]
