"""JSON read the way TGI reads it: into typed fields, with serde's words and positions where it is wrong.

A reader is a function from the cursor to a value. `LOOK` errors point one byte ahead, `AT` errors where the
cursor is: that is what makes the columns agree.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

Reader = Callable[["Cursor"], Any]
REQUIRED: Final = object()

_SPACE = re.compile(rb"[ \n\t\r]*")
_STRING = re.compile(rb'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"')
_STRING_START = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_LONE = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_IDENTS: Final[Mapping[int, tuple[bytes, object, str]]] = {
    ord("n"): (b"null", None, "null"),
    ord("t"): (b"true", True, "boolean `true`"),
    ord("f"): (b"false", False, "boolean `false`"),
}
_MAX_DEPTH = 128


class SerdeError(Exception):
    """`data`: well-formed, but not what was wanted (422); otherwise no JSON (400)."""

    def __init__(self, message: str, *, data: bool) -> None:
        super().__init__(message)
        self.message = message
        self.data = data
        self.path: list[str] = []

    def __str__(self) -> str:
        path = "".join(self.path).removeprefix(".")
        return f"{path}: {self.message}" if path else self.message


@dataclass(slots=True)
class Cursor:
    """A place in the bytes."""

    data: bytes
    index: int = 0
    depth: int = 0

    def peek(self) -> int:
        """The next byte that is no white space, or -1."""
        match = _SPACE.match(self.data, self.index)
        self.index = match.end() if match else self.index
        return self.data[self.index] if self.index < len(self.data) else -1

    def look(self, what: str) -> NoReturn:
        self._raise(what, min(len(self.data), self.index + 1), data=False)

    def at(self, what: str, *, data: bool = False) -> NoReturn:
        self._raise(what, self.index, data=data)

    def _raise(self, what: str, index: int, *, data: bool) -> NoReturn:
        line_start = self.data.rfind(b"\n", 0, index) + 1
        line = self.data.count(b"\n", 0, index) + 1
        raise SerdeError(f"{what} at line {line} column {index - line_start}", data=data)

    def start_value(self) -> int:
        byte = self.peek()
        if byte < 0:
            self.look("EOF while parsing a value")
        return byte

    def string(self) -> str:
        match = _STRING.match(self.data, self.index)
        if match is None:
            self._broken_string()
        self.index = match.end()
        try:
            text = match.group(1).decode()
        except UnicodeDecodeError:
            self.at("invalid unicode code point")
        if "\\" in text:
            text = str(json.loads(f'"{text}"'))
            if _LONE.search(text):
                self.at("lone leading surrogate in hex escape")
        return text

    def _broken_string(self) -> NoReturn:
        match = _STRING_START.match(self.data, self.index)
        self.index = match.end() if match else self.index
        rest = self.data[self.index : self.index + 2]
        if not rest or (rest == b"\\" and self.index + 1 == len(self.data)):
            self.index = len(self.data)
            self.at("EOF while parsing a string")
        self.index += len(rest) if rest.startswith(b"\\") else 1
        if rest.startswith(b"\\"):
            self.at("invalid escape")
        self.at("control character (\\u0000-\\u001F) found while parsing a string")

    def number(self) -> int | float:
        match = _NUMBER.match(self.data, self.index)
        if match is None:
            self.index += 1  # the minus sign
            self.look("invalid number" if self.index < len(self.data) else "EOF while parsing a value")
        self.index = match.end()
        following = self.data[self.index : self.index + 1]
        if following and following in b"0123456789.eE":
            self.look("invalid number")
        text = match.group()
        value = float(text)
        if value in (float("inf"), float("-inf")):
            self.at("number out of range")
        if match.group(1) or match.group(2) or not -(2**63) <= value < 2**64:
            return value
        return int(text)

    def ident(self) -> object:
        word, value, _ = _IDENTS[self.data[self.index]]
        for byte in word:
            if self.index >= len(self.data):
                self.at("EOF while parsing a value")
            self.index += 1
            if self.data[self.index - 1] != byte:
                self.at("expected ident")
        return value

    def wrong_type(self, expected: str) -> NoReturn:
        """Refuse the value that comes, after reading it if it is a single one."""
        byte = self.start_value()
        if byte in _IDENTS:
            found = _IDENTS[byte][2]
            self.ident()
        elif byte == ord('"'):
            found = f"string {json.dumps(self.string(), ensure_ascii=False)}"
        elif byte in b"-0123456789":
            found = describe_number(self.number())
        elif byte in b"[{":
            found = "sequence" if byte == ord("[") else "map"
        else:
            self.look("expected value")
        self.at(f"invalid type: {found}, expected {expected}", data=True)

    def enter(self) -> None:
        self.index += 1
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.look("recursion limit exceeded")

    def leave(self) -> None:
        self.index += 1
        self.depth -= 1


def describe_number(value: float) -> str:
    return f"integer `{value}`" if isinstance(value, int) else f"floating point `{value}`"


def string(cursor: Cursor) -> str:
    return cursor.string() if cursor.start_value() == ord('"') else cursor.wrong_type("a string")


def boolean(cursor: Cursor) -> object:
    return cursor.ident() if cursor.start_value() in b"tf" else cursor.wrong_type("a boolean")


def integer(name: str, low: int, high: int) -> Reader:
    def read(cursor: Cursor) -> int:
        if cursor.start_value() not in b"-0123456789":
            cursor.wrong_type(name)
        value = cursor.number()
        if not isinstance(value, int):
            cursor.at(f"invalid type: {describe_number(value)}, expected {name}", data=True)
        if not low <= value <= high:
            cursor.at(f"invalid value: {describe_number(value)}, expected {name}", data=True)
        return value

    return read


u32 = integer("u32", 0, 2**32 - 1)
u64 = integer("u64", 0, 2**64 - 1)
usize = integer("usize", 0, 2**64 - 1)
i32 = integer("i32", -(2**31), 2**31 - 1)


def f32(cursor: Cursor) -> float:
    return float(cursor.number()) if cursor.start_value() in b"-0123456789" else cursor.wrong_type("f32")


def optional(inner: Reader) -> Reader:
    def read(cursor: Cursor) -> Any:  # noqa: ANN401
        return cursor.ident() if cursor.peek() == ord("n") else inner(cursor)

    return read


def sequence(inner: Reader) -> Reader:
    def read(cursor: Cursor) -> tuple[Any, ...]:
        if cursor.start_value() != ord("["):
            cursor.wrong_type("a sequence")
        values: list[Any] = []
        cursor.enter()
        while _more(cursor, "]", "a list", first=not values):
            values.append(_within(f"[{len(values)}]", inner, cursor))
        cursor.leave()
        return tuple(values)

    return read


def anything(cursor: Cursor) -> object:
    """Any JSON value, which nobody looks at."""
    byte = cursor.start_value()
    if byte in _IDENTS:
        return cursor.ident()
    if byte == ord('"'):
        return cursor.string()
    if byte in b"-0123456789":
        return cursor.number()
    if byte == ord("["):
        return sequence(anything)(cursor)
    if byte != ord("{"):
        cursor.look("expected value")
    cursor.enter()
    first = True
    while _more(cursor, "}", "an object", first=first):
        first = False
        _key(cursor)
        _colon(cursor)
        anything(cursor)
    cursor.leave()
    return None


@dataclass(frozen=True, slots=True)
class Struct:
    """Named fields, each with its reader and its default (or REQUIRED); others are skipped."""

    name: str
    fields: Mapping[str, tuple[Reader, object]] = field(default_factory=dict)

    def __call__(self, cursor: Cursor) -> dict[str, Any]:
        if cursor.start_value() != ord("{"):
            cursor.wrong_type(f"struct {self.name}")
        values: dict[str, Any] = {}
        cursor.enter()
        first = True
        while _more(cursor, "}", "an object", first=first):
            first = False
            self._field(cursor, values)
        cursor.leave()
        for name, (_, default) in self.fields.items():
            if name not in values and default is REQUIRED:
                cursor.at(f"missing field `{name}`", data=True)
            values.setdefault(name, default)
        return values

    def _field(self, cursor: Cursor, values: dict[str, Any]) -> None:
        name = _key(cursor)
        if name in values:
            cursor.peek()
            cursor.at(f"duplicate field `{name}`", data=True)
        known = self.fields.get(name)

        def read(cursor: Cursor) -> object:
            _colon(cursor)
            return known[0](cursor) if known else anything(cursor)

        value = _within(f".{name}", read, cursor)
        if known:
            values[name] = value


def parse(data: bytes, reader: Reader) -> Any:  # noqa: ANN401
    """The whole body as one value. Raises SerdeError."""
    cursor = Cursor(data)
    value = reader(cursor)
    if cursor.peek() >= 0:
        cursor.look("trailing characters")
    return value


def _more(cursor: Cursor, closing: str, what: str, *, first: bool) -> bool:
    """Whether another element comes; the cursor is then at it, otherwise at the closing bracket."""
    byte = cursor.peek()
    if byte < 0:
        cursor.look(f"EOF while parsing {what}")
    if byte == ord(closing):
        return False
    if not first:
        if byte != ord(","):
            cursor.look(f"expected `,` or `{closing}`")
        cursor.index += 1
        byte = cursor.start_value()
        if byte == ord(closing):
            cursor.look("trailing comma")
    return True


def _key(cursor: Cursor) -> str:
    if cursor.peek() != ord('"'):
        cursor.look("key must be a string")
    return cursor.string()


def _colon(cursor: Cursor) -> None:
    byte = cursor.peek()
    if byte < 0:
        cursor.look("EOF while parsing an object")
    if byte != ord(":"):
        cursor.look("expected `:`")
    cursor.index += 1


def _within(path: str, reader: Reader, cursor: Cursor) -> Any:  # noqa: ANN401
    try:
        return reader(cursor)
    except SerdeError as error:
        error.path.insert(0, path)
        raise
