"""The demonstration engine as a server that speaks TGI's protocol.

Its answers to /generate, /generate_stream, POST /, /tokenize, /info, /health, /ping and /metrics are the real
router's, byte for byte, and so are its refusals, its limits, what it does when a client goes, and its drain.
It differs in this: each stream is paced by itself instead of in a common batch, so the metrics of joined
batches are never exported; /chat_tokenize, /v1 and HTTP/2 are not there; grammars are not followed.
GET /_demo/stats tells what runs, and POST /_demo/reset forgets what ran.
"""

from chatstream.engines.demo.server.main import main

__all__ = ["main"]
