"""What every builder gets: the resource, the operator's settings, and what the Secrets hold, as checksums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatstream_operator.settings import OperatorSettings
from chatstream_operator.spec import ChatStream

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """keys_checksum and redis_checksum change when the Secrets do, and roll the pods that read them."""

    chatstream: ChatStream
    settings: OperatorSettings
    keys_checksum: str
    redis_checksum: str

    @property
    def engine_image(self) -> str:
        engine = self.chatstream.spec.engine
        if engine.image is not None:
            return engine.image
        return self.settings.tgi_image if engine.type == "TGI" else self.settings.server_image
