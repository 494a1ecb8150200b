"""What an instance of ChatStream is set to. Times are in seconds."""

from dataclasses import dataclass

from chatstream.prompts import TemplateName
from fastersession import Window

ENGINE_STOPS = 4
"""TGI's default limit of stop sequences in one request; the rest is found by our own filter."""
ENTRIES_A_TURN = 4
"""An input and its reply, and room for some that were made again: three more entries each."""
FEWEST_ENTRIES = 16
BYTES_A_TOKEN = 8
"""Of stored text. A token is four or five letters of English; the markers around a text are tokens too."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """What no client and no part may exceed."""

    queue_timeout: float = 30.0
    write_timeout: float = 30.0
    keep_alive: float = 10.0
    turn_timeout: float = 600.0
    callback_timeout: float = 10.0
    body_timeout: float = 10.0
    body_bytes: int = 65_536
    count_timeout: float = 10.0
    """For counting the tokens of one prompt."""
    keep_timeout: float = 10.0
    """For saving a history; a session store has shorter limits of its own."""
    farewell_timeout: float = 5.0
    """For the last bytes to a client."""

    @property
    def lease_seconds(self) -> float:
        """The longest that a turn can hold its session."""
        return self.queue_timeout + self.turn_timeout + self.count_timeout + self.keep_timeout


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What a conversation is made of. None leaves a parameter to the engine."""

    template: TemplateName = "chatml"
    system_prompt: str | None = None
    max_turns: int | None = 50
    max_input_tokens: int = 4096
    max_total_tokens: int = 8192
    max_new_tokens: int = 1024
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()

    @property
    def input_budget(self) -> int:
        """Tokens that a prompt may have, so that the longest reply still fits."""
        return min(self.max_input_tokens, self.max_total_tokens - self.max_new_tokens)

    @property
    def window(self) -> Window:
        """How much of a stored conversation a prompt can need: what is older is not even read.

        No message has less than two tokens with its markers. The last reply is beside the budget, since it
        may be made again.
        """
        entries = self.input_budget // 2
        if self.max_turns is not None:
            entries = min(entries, ENTRIES_A_TURN * self.max_turns)
        tokens = max(1, self.input_budget + self.max_new_tokens)
        return Window(max(FEWEST_ENTRIES, entries), BYTES_A_TOKEN * tokens)
