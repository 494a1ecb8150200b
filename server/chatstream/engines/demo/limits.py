"""The limits on lengths, in TGI's words and in TGI's order."""

from dataclasses import dataclass

ROUND = 1024
"""TGI generates in rounds of so many tokens, each of which is a new input."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens of one request."""

    max_input_tokens: int = 4096
    max_total_tokens: int = 8192

    def refusal(self, input_tokens: int, max_new_tokens: int) -> str | None:
        """Why a request is refused, or None."""
        if input_tokens + max_new_tokens > self.max_total_tokens:
            return (
                f"`inputs` tokens + `max_new_tokens` must be <= {self.max_total_tokens}. "
                f"Given: {input_tokens} `inputs` tokens and {max_new_tokens} `max_new_tokens`"
            )
        if input_tokens > self.max_input_tokens:
            return f"`inputs` must have less than {self.max_input_tokens} tokens. Given: {input_tokens}"
        return None

    def reachable(self, input_tokens: int, max_new_tokens: int) -> int:
        """How many tokens can come: fewer than asked where a further round would exceed the input limit."""
        for generated in range(ROUND, max_new_tokens, ROUND):
            if input_tokens + generated > self.max_input_tokens:
                return generated
        return max_new_tokens


def validation_error(reason: str) -> str:
    return f"Input validation error: {reason}"
