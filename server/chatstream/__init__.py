"""ChatStream: streaming chat for FastAPI: sessions, a bounded queue, disconnects that free the GPU."""

from chatstream import engines, errors
from chatstream.prompts import ChatPrompt
from chatstream.turns import ChatStream, History

__all__ = ["ChatPrompt", "ChatStream", "History", "engines", "errors"]
