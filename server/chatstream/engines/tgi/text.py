"""The text of a stream of tokens, of which some are only parts of a character."""

_HALF = "\ufffd"


class TextAssembler:
    """Holds back the stand-ins for unfinished characters (U+FFFD) until it is known what they become.

    TGI leaves the text of an unfinished token empty, other backends send a stand-in and then the whole
    character. The whole text that comes with the last token settles what is still open then.
    """

    def __init__(self) -> None:
        self._sent: list[str] = []
        self._held = ""

    def push(self, text: str) -> str:
        """What can be shown now that `text` has come; empty if nothing."""
        if not self._held and not text.endswith(_HALF):
            self._sent.append(text)
            return text
        return self._settle(text) if text else ""

    def finish(self, whole: str | None, *, cut: bool) -> str:
        """What is still to be shown; `cut` tells that the length limit may have split a character."""
        tail = self._held
        if whole is not None:
            sent = "".join(self._sent)
            if len(whole) >= len(sent) and whole.startswith(sent):
                tail = whole[len(sent) :]
        return tail.rstrip(_HALF) if cut else tail

    def _settle(self, text: str) -> str:
        """A character beyond ASCII completes what was held; anything else shows that it was meant so."""
        completed = not text.startswith(_HALF) and not text[0].isascii()
        shown = text if completed else self._held + text
        self._held = shown[len(shown.rstrip(_HALF)) :]
        shown = shown.rstrip(_HALF)
        if shown:
            self._sent.append(shown)
        return shown
