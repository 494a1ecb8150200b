"""Attributes to JSON text and back; typed values are {"$type": name, "$data": ...}. Nothing is pickled."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

from fastersession.errors import InvalidSessionData
from fastersession.journal import Entry, Journal, key_in, reference, restored
from fastersession.records import Tail

T = TypeVar("T")

TYPE, DATA = "$type", "$data"
ESCAPED, JOURNAL = "$dict", "fastersession.Journal"
SEALED: Final = "$sealed"  # what stands for all attributes in a store where they are encrypted
_TYPE_TEXT: Final = '"$type"'  # as we write it: text that spells it with escapes is no typed value
_SCALARS = (str, int, float, bool, type(None))
_NO_TAILS: Final[Mapping[str, Tail]] = {}
_NO_JOURNALS: Final[Mapping[str, Journal]] = {}


class UnknownTyped(dict[str, Any]):
    """A value of a type that this process does not know: kept as it came, for one that knows it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Attributes as they would be stored, and the journals in them.

    `foreign`: the keys of journals in values of unknown types, which are to be kept.
    """

    texts: dict[str, str]
    journals: dict[str, Journal]
    foreign: Collection[str]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all journals."""
        return (*self.journals, *self.foreign)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Attributes, and the journals in them that were not known."""

    values: dict[str, Any]
    journals: list[Journal]


@dataclass(frozen=True, slots=True)
class _Entry:
    cls: type
    name: str
    to_json: Callable[[Any], Any]
    from_json: Callable[[Any], Any]


class TypeRegistry:
    """Which classes may be session attributes, and under which names."""

    def __init__(self) -> None:
        self.by_class: dict[type, _Entry] = {}
        self.by_name: dict[str, _Entry] = {}

    def register(
        self, cls: type[T], name: str, to_json: Callable[[T], Any], from_json: Callable[[Any], T]
    ) -> None:
        """See `register_type`."""
        known = self.by_name.get(name)
        if name in (ESCAPED, JOURNAL) or (known is not None and known.cls is not cls):
            raise ValueError(f"the type name {name!r} is taken")
        former = self.by_class.get(cls)
        if former is not None and former.name != name:
            raise ValueError(f"{cls.__name__} is registered as {former.name!r} already")
        self.by_class[cls] = self.by_name[name] = _Entry(cls, name, to_json, from_json)

    def encode(self, attributes: Mapping[str, Any]) -> Snapshot:
        """Each attribute's JSON text. Raises InvalidSessionData, which names the attribute at fault."""
        if not all(isinstance(name, str) for name in attributes):
            raise InvalidSessionData("the names of session attributes must be str")
        if SEALED in attributes:
            raise InvalidSessionData(f"no session attribute can be called {SEALED}")
        encoder = _Encoder(self)
        texts = {}
        for name, value in attributes.items():
            try:
                texts[name] = _ascii(encoder.plain(value))
            except (TypeError, ValueError, RecursionError) as error:
                raise InvalidSessionData(f"session attribute {name!r} cannot be stored: {error}") from error
        return Snapshot(texts, encoder.journals, encoder.foreign)

    def decode(
        self,
        raw: Mapping[str, Any],
        tails: Mapping[str, Tail] = _NO_TAILS,
        known: Mapping[str, Journal] = _NO_JOURNALS,
    ) -> Decoded:
        """The attributes in what `parse` gave, their journals showing `tails`, the `known` ones as they are.

        Raises InvalidSessionData.
        """
        decoder = _Decoder(self, tails, known)
        try:
            values = {name: decoder.live(value) for name, value in raw.items()}
        except RecursionError as error:
            raise InvalidSessionData(f"the stored attributes are nested too deeply: {error}") from error
        return Decoded(values, decoder.journals)

    def encode_entry(self, value: Entry) -> str:
        """The JSON text of a journal's entry. Raises InvalidSessionData."""
        encoder = _Encoder(self)
        try:
            plain = encoder.plain(value)
            if encoder.journals or encoder.foreign:
                raise TypeError("a journal cannot be in an entry of one")
            return _compact(plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidSessionData(f"a journal's entry cannot be stored: {error}") from error

    def decode_entry(self, text: str) -> Entry:
        """The inverse of `encode_entry`. Raises InvalidSessionData."""
        try:
            value = _parse(text)
            # Typed values are rare, and a lone `$` is looked for faster.
            return self._live_entry(value) if "$" in text and _TYPE_TEXT in text else value
        except (ValueError, RecursionError) as error:
            raise InvalidSessionData(f"a stored entry of a journal is no JSON: {error}") from error

    def _live_entry(self, value: object) -> Entry:
        decoder = _Decoder(self, _NO_TAILS, _NO_JOURNALS)
        live = decoder.live(value)
        if decoder.keys:
            raise InvalidSessionData("a stored entry of a journal holds a journal")
        return live


@dataclass(slots=True)
class _Encoder:
    """One encoding: what was met on the way is noted."""

    registry: TypeRegistry
    journals: dict[str, Journal] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)

    def plain(self, value: object) -> object:
        entry = self.registry.by_class.get(type(value))
        if entry is not None:
            return {TYPE: entry.name, DATA: self.plain(entry.to_json(value))}
        if isinstance(value, _SCALARS):
            return value
        if isinstance(value, (list, tuple)):
            return [self.plain(item) for item in value]
        if isinstance(value, dict):
            return self._dict(value)
        if type(value) is Journal:
            self._note(value.key)
            self.journals[value.key] = value
            return {TYPE: JOURNAL, DATA: reference(value)}
        raise TypeError(f"{type(value).__name__} is not JSON; register_type() makes it storable")

    def _dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        if isinstance(value, UnknownTyped):
            for key in journals_in(value):
                self._note(key)
                self.foreign.add(key)
            return value
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the keys of a dict must be str")
        plain = {key: self.plain(item) for key, item in value.items()}
        # Escaped: otherwise text that a user sent could come back as an object of ours.
        return {TYPE: ESCAPED, DATA: plain} if TYPE in value else plain

    def _note(self, key: str) -> None:
        if key in self.journals or key in self.foreign:
            raise ValueError("a journal can be in a session only once")


@dataclass(slots=True)
class _Decoder:
    """One decoding of attributes, in which each journal is met once."""

    registry: TypeRegistry
    tails: Mapping[str, Tail]
    known: Mapping[str, Journal]
    keys: set[str] = field(default_factory=set)
    journals: list[Journal] = field(default_factory=list)

    def live(self, value: object) -> object:
        if isinstance(value, list):
            return [self.live(item) for item in value]
        if not isinstance(value, dict):
            return value
        if TYPE in value:
            return self._typed(value)
        return {key: self.live(item) for key, item in value.items()}

    def _typed(self, value: dict[str, Any]) -> object:
        name, data = value[TYPE], value.get(DATA)
        if name == ESCAPED and isinstance(data, dict):
            return {key: self.live(item) for key, item in data.items()}
        if name == JOURNAL:
            return self._journal(data, self._noted(key_in(data)))
        entry = self.registry.by_name.get(name) if isinstance(name, str) else None
        if entry is None:
            for key in journals_in(value):
                self._noted(key)
            return UnknownTyped(value)
        inner = self.live(data)
        try:
            return entry.from_json(inner)
        except Exception as error:
            # The class alone: the text may show what was stored, and would get into logs.
            raise InvalidSessionData(f"a stored {name!r} cannot be read: {type(error).__name__}") from error

    def _journal(self, found: Any, key: str) -> Journal:  # noqa: ANN401 (`key_in` looked at it)
        known = self.known.get(key)
        if known is not None:
            return known
        journal = restored(found, self.tails.get(key))
        self.journals.append(journal)
        return journal

    def _noted(self, key: str) -> str:
        if key in self.keys:
            raise InvalidSessionData("two stored journals have the same key")
        self.keys.add(key)
        return key


def journals_in(value: object) -> Iterator[str]:
    """The keys of the journals that stored JSON refers to. Raises InvalidSessionData."""
    if isinstance(value, list):
        for item in value:
            yield from journals_in(item)
    elif isinstance(value, dict):
        if value.get(TYPE) == JOURNAL:
            yield key_in(value.get(DATA))
            return
        inner = value.get(DATA) if value.get(TYPE) == ESCAPED else value
        for item in inner.values() if isinstance(inner, dict) else ():
            yield from journals_in(item)


def parse(text: str) -> dict[str, Any]:
    """The JSON values in the text of one object, by name. Raises InvalidSessionData."""
    try:
        raw = _parse(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSessionData(f"the stored attributes are no JSON: {error}") from error
    if not isinstance(raw, dict):
        raise InvalidSessionData("the stored attributes are no JSON object")
    if SEALED in raw:
        # Taken for an attribute it would make the session an empty one, and its entries would be removed.
        raise InvalidSessionData("the stored attributes are encrypted: they are read by an EncryptedStore")
    return raw


def texts_of(raw: Mapping[str, Any]) -> dict[str, str]:
    """What `parse` gave, each value as its own text. Raises InvalidSessionData."""
    try:
        return {name: _ascii(value) for name, value in raw.items()}
    except (ValueError, RecursionError) as error:
        raise InvalidSessionData(f"the stored attributes are no JSON: {error}") from error


def join(encoded: Mapping[str, str]) -> str:
    """Attributes that are encoded one by one, as the text of one JSON object."""
    return "{" + ",".join(f"{_ascii(name)}:{text}" for name, text in encoded.items()) + "}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _parse(text: str) -> Any:  # noqa: ANN401 (whatever JSON can hold)
    """Raises ValueError, RecursionError. What we write has no white space around it: then it is faster."""
    try:
        value, end = _DECODER.raw_decode(text)
    except ValueError:
        return _DECODER.decode(text)
    return value if end == len(text) else _DECODER.decode(text)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)
_ascii: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_utf8: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode


def _compact(plain: object) -> str:
    """JSON without escapes, which would double what most of the world writes."""
    text = _utf8(plain)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape and UTF-8 cannot hold
        return _ascii(plain)
    return text


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
