"""What passes between a session and its store."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from fastersession.errors import InvalidSessionData

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a session alone: `owner` is unique to one request; it ends after `seconds`."""

    owner: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One record. Times: unix seconds; `attributes`: the JSON text of one object; `version` counts writes."""

    attributes: str = field(repr=False)  # users' words: no place for them in logs
    created_at: float
    last_accessed_at: float
    max_inactive_interval: float
    version: int = 0

    def to_json(self) -> str:
        """The record as a store keeps it. `version` is not in it: a store compares that one by itself."""
        head = {
            "schema": SCHEMA,
            "created_at": self.created_at,
            "last_accessed_at": self.last_accessed_at,
            "max_inactive_interval": self.max_inactive_interval,
        }
        return f'{json.dumps(head)[:-1]}, "attributes": {self.attributes}}}'

    def touched(self, accessed_at: float) -> "StoredSession":
        """The same record, read later."""
        return replace(self, last_accessed_at=max(self.last_accessed_at, accessed_at))

    @classmethod
    def from_json(cls, text: str | bytes, *, version: int) -> "StoredSession":
        """The inverse of `to_json`. Raises InvalidSessionData, for an unknown schema too."""
        try:
            raw = json.loads(text)
            if raw["schema"] != SCHEMA:
                raise InvalidSessionData(
                    f"the stored session has schema {raw['schema']!r}, known is {SCHEMA}"
                )
            return cls._from_raw(raw, version)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InvalidSessionData(f"the stored session cannot be read: {error!r}") from error

    @classmethod
    def _from_raw(cls, raw: dict[str, Any], version: int) -> "StoredSession":
        if not isinstance(raw["attributes"], dict):
            raise InvalidSessionData("the stored attributes are no JSON object")
        return cls(
            attributes=json.dumps(raw["attributes"], separators=(",", ":")),
            created_at=float(raw["created_at"]),
            last_accessed_at=float(raw["last_accessed_at"]),
            max_inactive_interval=float(raw["max_inactive_interval"]),
            version=version,
        )
