"""What passes between a session and its store."""

import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fastersession.errors import InvalidSessionData

SCHEMA = 1

_compact: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a session alone: `owner` is unique to one request; it ends after `seconds`."""

    owner: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Window:
    """How much of each journal a load reads: its newest entries, the newest one in any case.

    At most `entries` of them, and together at most `bytes` of text (UTF-8). Raises ValueError below 1.
    """

    entries: int = 1_000
    bytes: int = 1_048_576

    def __post_init__(self) -> None:
        if min(self.entries, self.bytes) < 1:
            raise ValueError("a window has at least 1 entry and 1 byte")


DEFAULT_WINDOW: Final = Window()


@dataclass(frozen=True, slots=True)
class Tail:
    """What was read of a journal: JSON texts, the first of which is the journal's entry number `start`.

    Entries are numbered from 0 for ever, also after the oldest were dropped.
    """

    start: int
    entries: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One record. Times: unix seconds; `attributes`: the JSON text of one object; `version` counts writes.

    `journals` holds what was read of the session's journals, by their keys; one without entries may lack.
    """

    attributes: str = field(repr=False)  # users' words: no place for them in logs
    created_at: float
    last_accessed_at: float
    max_inactive_interval: float
    version: int = 0
    journals: Mapping[str, Tail] = field(default_factory=dict, repr=False)

    def to_json(self) -> str:
        """The head as a store keeps it: without `version` and `journals`, which it keeps by itself."""
        head = {
            "schema": SCHEMA,
            "created_at": self.created_at,
            "last_accessed_at": self.last_accessed_at,
            "max_inactive_interval": self.max_inactive_interval,
        }
        return f'{json.dumps(head)[:-1]}, "attributes": {self.attributes}}}'

    def touched(self, accessed_at: float) -> "StoredSession":
        """The same record, read later."""
        if accessed_at <= self.last_accessed_at:
            return self
        return replace(self, last_accessed_at=accessed_at)

    @classmethod
    def from_json(
        cls,
        text: str | bytes,
        *,
        version: int,
        accessed_at: float = 0.0,
        journals: Mapping[str, Tail] | None = None,
    ) -> "StoredSession":
        """The inverse of `to_json`, with what a store keeps beside the head: a later access, the journals.

        Raises InvalidSessionData, for an unknown schema too.
        """
        try:
            raw = json.loads(text)
            if raw["schema"] != SCHEMA:
                shown = f"{raw['schema']!r:.12}" if isinstance(raw["schema"], int) else "that is no number"
                raise InvalidSessionData(f"the stored session has schema {shown}, known is {SCHEMA}")
            return cls._from_raw(raw, version, accessed_at, journals or {})
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            # The class alone: some errors show what was stored, and this text gets into logs.
            raise InvalidSessionData(f"the stored session cannot be read: {type(error).__name__}") from error

    @classmethod
    def _from_raw(
        cls, raw: dict[str, Any], version: int, accessed_at: float, journals: Mapping[str, Tail]
    ) -> "StoredSession":
        if not isinstance(raw["attributes"], dict):
            raise InvalidSessionData("the stored attributes are no JSON object")
        return cls(
            attributes=_compact(raw["attributes"]),
            created_at=_number(raw["created_at"]),
            last_accessed_at=max(_number(raw["last_accessed_at"]), accessed_at),
            max_inactive_interval=_number(raw["max_inactive_interval"]),
            version=version,
            journals=journals,
        )


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidSessionData("a time of the stored session is no number")
    return float(value)


@dataclass(frozen=True, slots=True)
class Append:
    """What is new in one journal, which keeps its newest `limit` entries.

    `after` is how many entries the writer knew of. From there on stand those that others wrote meanwhile, and
    this very write's where it was carried out already and its answer was lost.
    """

    after: int
    entries: tuple[str, ...] = field(repr=False)
    limit: int


def _mark() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Change:
    """One write, whole or not at all.

    `expected_version` is the version that was read, 0 for none: this creates the session. With `record` None
    the attributes stay as they are. With one, `journals` are all that its attributes refer to: the others go,
    with their entries. `appends` are to journals that the session has, or that are in `journals`. `mark` is
    the write's own: a write that is sent again has the same one, and is not carried out twice.
    """

    expected_version: int
    accessed_at: float
    record: StoredSession | None
    journals: tuple[str, ...] = ()
    appends: Mapping[str, Append] = field(default_factory=dict)
    mark: str = field(default_factory=_mark)
