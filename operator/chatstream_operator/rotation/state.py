"""What has to be known of a rotation beside the keys: kept with them, in one annotation that holds none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from chatstream_operator.rotation.keys import Ring

Phase = Literal["settled", "adding", "switching"]


class State(BaseModel):
    """handled: the request that the newest rotation is for. since: when its phase began. fresh: by ring, the
    fingerprint of the key that it brings; empty when settled. idle: by ring and fingerprint, since when a key
    is not used any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    handled: str = ""
    phase: Phase = "settled"
    since: AwareDatetime | None = None
    fresh: Mapping[str, str] = {}
    idle: Mapping[str, Mapping[str, AwareDatetime]] = {}

    @classmethod
    def read(cls, text: str | None) -> State:
        """What a hand made unreadable counts as nothing known: then a key too many is accepted, at worst."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()

    def write(self) -> str:
        return self.model_dump_json(exclude_defaults=True)


@dataclass(frozen=True, slots=True)
class Keys:
    """Rings by their names in the Secret, and the state: written together, or not at all."""

    rings: Mapping[str, Ring]
    state: State
