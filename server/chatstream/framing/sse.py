"""Server-sent events. Deltas have no event name, one event a token; everything else is named."""

import json
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring, encode_basestring_ascii

CONTENT_TYPE = "text/event-stream; charset=utf-8"
KEEP_ALIVE = b": keep-alive\n\n"

_HEAD = 'data: {"delta":'
_TAIL = "}\n\n"


def encode_deltas(texts: Iterable[str]) -> bytes:
    """One event for each text, in one piece for one write. JSON escapes every line end, so no text can
    end its event or begin another."""
    try:
        return "".join([_HEAD + encode_basestring(text) + _TAIL for text in texts]).encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8; as a JSON escape it passes.
        return "".join([_HEAD + encode_basestring_ascii(text) + _TAIL for text in texts]).encode()


def encode_event(name: str, data: Mapping[str, object]) -> bytes:
    """A named event; `data` in the order given."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
