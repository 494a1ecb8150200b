"""A turn's life, from the request's body to the callback; and the object that a web application holds."""

from chatstream.turns.callback import Callback
from chatstream.turns.chat_stream import ChatStream
from chatstream.turns.history import History, SessionHistory, session_history
from chatstream.turns.options import ChatOptions, TurnLimits
from chatstream.turns.outcome import Outcome

__all__ = [
    "Callback",
    "ChatOptions",
    "ChatStream",
    "History",
    "Outcome",
    "SessionHistory",
    "TurnLimits",
    "session_history",
]
