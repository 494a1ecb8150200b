"""Attributes to JSON text and back; typed values are {"$type": name, "$data": ...}. Nothing is pickled."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fastersession.errors import InvalidSessionData

T = TypeVar("T")

TYPE, DATA = "$type", "$data"
ESCAPED = "$dict"
_SCALARS = (str, int, float, bool, type(None))


class UnknownTyped(dict[str, Any]):
    """A value of a type that this process does not know: kept as it came, for one that knows it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    cls: type
    name: str
    to_json: Callable[[Any], Any]
    from_json: Callable[[Any], Any]


class TypeRegistry:
    """Which classes may be session attributes, and under which names."""

    def __init__(self) -> None:
        self._by_class: dict[type, _Entry] = {}
        self._by_name: dict[str, _Entry] = {}

    def register(
        self, cls: type[T], name: str, to_json: Callable[[T], Any], from_json: Callable[[Any], T]
    ) -> None:
        """See `register_type`."""
        known = self._by_name.get(name)
        if name == ESCAPED or (known is not None and known.cls is not cls):
            raise ValueError(f"the type name {name!r} is taken")
        former = self._by_class.get(cls)
        if former is not None and former.name != name:
            raise ValueError(f"{cls.__name__} is registered as {former.name!r} already")
        self._by_class[cls] = self._by_name[name] = _Entry(cls, name, to_json, from_json)

    def encode(self, attributes: Mapping[str, Any]) -> dict[str, str]:
        """Each attribute's JSON text. Raises InvalidSessionData, which names the attribute at fault."""
        if not all(isinstance(name, str) for name in attributes):
            raise InvalidSessionData("the names of session attributes must be str")
        return {name: self._encode_value(name, value) for name, value in attributes.items()}

    def _encode_value(self, name: str, value: object) -> str:
        try:
            return json.dumps(self._plain(value), allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidSessionData(f"session attribute {name!r} cannot be stored: {error}") from error

    def decode(self, text: str) -> dict[str, Any]:
        """The attributes in the text of one JSON object. Raises InvalidSessionData."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidSessionData(f"the stored attributes are no JSON: {error}") from error
        if not isinstance(raw, dict):
            raise InvalidSessionData("the stored attributes are no JSON object")
        return {name: self._live(value) for name, value in raw.items()}

    def _plain(self, value: object) -> object:
        entry = self._by_class.get(type(value))
        if entry is not None:
            return {TYPE: entry.name, DATA: self._plain(entry.to_json(value))}
        if isinstance(value, _SCALARS):
            return value
        if isinstance(value, (list, tuple)):
            return [self._plain(item) for item in value]
        if isinstance(value, dict):
            return self._plain_dict(value)
        raise TypeError(f"{type(value).__name__} is not JSON; register_type() makes it storable")

    def _plain_dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        if isinstance(value, UnknownTyped):
            return value
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the keys of a dict must be str")
        plain = {key: self._plain(item) for key, item in value.items()}
        # Escaped: otherwise text that a user sent could come back as an object of ours.
        return {TYPE: ESCAPED, DATA: plain} if TYPE in value else plain

    def _live(self, value: object) -> object:
        if isinstance(value, list):
            return [self._live(item) for item in value]
        if not isinstance(value, dict):
            return value
        if TYPE in value:
            return self._live_typed(value)
        return {key: self._live(item) for key, item in value.items()}

    def _live_typed(self, value: dict[str, Any]) -> object:
        name, data = value[TYPE], value.get(DATA)
        if name == ESCAPED and isinstance(data, dict):
            return {key: self._live(item) for key, item in data.items()}
        entry = self._by_name.get(name) if isinstance(name, str) else None
        if entry is None:
            return UnknownTyped(value)
        try:
            return entry.from_json(self._live(data))
        except Exception as error:
            raise InvalidSessionData(f"a stored {name!r} cannot be read: {error}") from error


def join(encoded: Mapping[str, str]) -> str:
    """Attributes that are encoded one by one, as the text of one JSON object."""
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in encoded.items()) + "}"


registry = TypeRegistry()
"""The process's own registry: types belong to the program, not to one store or middleware."""


def register_type(
    cls: type[T], name: str, to_json: Callable[[T], Any], from_json: Callable[[Any], T]
) -> None:
    """Make instances of exactly `cls` storable as session attributes.

    `name` is written beside the data and must stay the same for as long as records live. `to_json` gives what
    JSON can hold (further registered types included), `from_json` takes it back. Registering the same class
    under the same name again replaces the functions; a taken name raises ValueError.
    """
    registry.register(cls, name, to_json, from_json)
