"""Stop strings are never shown, not even in part: what may be the beginning of one is held back."""

import re
from collections.abc import Iterable
from functools import lru_cache

ECHO = 64
"""Characters that a reply must share with the prompt's beginning to be its repetition."""


@lru_cache(maxsize=64)
def compile_stops(stops: tuple[str, ...]) -> re.Pattern[str] | None:
    """A pattern that finds the first stop string (group 1) or, at the text's end, the beginning of one."""
    found = [stop for stop in dict.fromkeys(stops) if stop]
    if not found:
        return None
    longest_first = sorted(found, key=len, reverse=True)
    whole = "|".join(re.escape(stop) for stop in longest_first)
    begun = "|".join(_beginning(stop) for stop in longest_first)
    return re.compile(rf"({whole})|(?:{begun})\Z")


def _beginning(stop: str) -> str:
    # One after the other and not nested: a long one would exceed what `re` can nest.
    return "|".join(re.escape(stop[:length]) for length in range(len(stop) - 1, 0, -1)) or "(?!)"


class StopFilter:
    """Passes texts on until a stop string; `stopped` says that one was found.

    A reply that repeats the prompt word for word from its first character (the demonstration engine does on
    request) repeats the template's markers too; as far as the two agree they are no stop strings. That it is
    one shows after ECHO characters: a model may well begin its reply with the marker that begins the prompt.
    """

    __slots__ = ("_echoed", "_held", "_pattern", "_prompt", "stopped")

    def __init__(self, stops: Iterable[str], prompt: str = "") -> None:
        self._pattern = compile_stops(tuple(stops))
        self._prompt = prompt
        self._echoed = 0
        self._held = ""
        self.stopped = False

    def feed(self, texts: list[str]) -> list[str]:
        """What of `texts` may be shown now, one entry for each text that shows anything."""
        if self._pattern is None:
            return [text for text in texts if text]
        shown = [self._pass(text, self._pattern) for text in texts]
        return [text for text in shown if text]

    def flush(self) -> str:
        """What was held back, once it is known that nothing follows: no beginning of a stop string then."""
        held, self._held = self._held, ""
        if self.stopped or self._pattern is None:
            return ""
        for start in range(len(held)):
            whole = self._pattern.match(held, start)
            if whole and whole.group(1) is not None:
                self.stopped = True
                return held[:start]
        return held

    def _repeat(self, text: str, pattern: re.Pattern[str]) -> str:
        """What of a beginning that agrees with the prompt's may be shown."""
        undecided = self._echoed < min(ECHO, len(self._prompt))
        match = pattern.search(text) if undecided else None
        end = len(text) if match is None else match.start()
        self._held = text[end:]
        return text[:end]

    def _pass(self, text: str, pattern: re.Pattern[str]) -> str:
        if self.stopped:
            return ""
        if self._prompt:
            if self._prompt.startswith(text, self._echoed):
                self._echoed += len(text)
                return self._repeat(self._held + text, pattern)
            self._prompt = ""
        text = self._held + text
        match = pattern.search(text)
        if match is None:
            self._held = ""
            return text
        self.stopped = match.group(1) is not None
        self._held = "" if self.stopped else text[match.start() :]
        return text[: match.start()]
