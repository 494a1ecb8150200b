"""What goes over the wire to the client: server-sent events, and text without its stop strings."""

from chatstream.framing.sse import CONTENT_TYPE, KEEP_ALIVE, encode_deltas, encode_event
from chatstream.framing.stops import StopFilter, compile_stops

__all__ = ["CONTENT_TYPE", "KEEP_ALIVE", "StopFilter", "compile_stops", "encode_deltas", "encode_event"]
