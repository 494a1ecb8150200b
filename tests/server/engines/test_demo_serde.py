"""Bodies that cannot be understood, in serde's words and with its positions."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.engines.demo.server.request import parse_compat_request, parse_request
from chatstream.engines.demo.server.serde import SerdeError

SYNTAX = [
    (b"", "EOF while parsing a value at line 1 column 0"),
    (b'{"inputs": ', "inputs: EOF while parsing a value at line 1 column 11"),
    (b'{"inputs"', "inputs: EOF while parsing an object at line 1 column 9"),
    (b'{"inputs":"a"', "EOF while parsing an object at line 1 column 13"),
    (b'{"inputs":"a', "inputs: EOF while parsing a string at line 1 column 12"),
    (b'{"inputs":nul', "inputs: EOF while parsing a value at line 1 column 13"),
    (b'{"inputs":nulx', "inputs: expected ident at line 1 column 14"),
    (b'{"inputs":"a",}', "trailing comma at line 1 column 15"),
    (b'{"inputs":"a" "b"}', "expected `,` or `}` at line 1 column 15"),
    (b'{"inputs":"a"}x', "trailing characters at line 1 column 15"),
    (b'{\n "inputs" 3}', "inputs: expected `:` at line 2 column 11"),
    (b"{inputs:1}", "key must be a string at line 1 column 2"),
    (b'{"inputs":?}', "inputs: expected value at line 1 column 11"),
    (b'{"inputs":01}', "inputs: invalid number at line 1 column 12"),
    (b'{"inputs":"\\q"}', "inputs: invalid escape at line 1 column 13"),
    (
        b'{"inputs":"\x01"}',
        "inputs: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 12",
    ),
    (b'{"inputs":"\\ud800"}', "inputs: lone leading surrogate in hex escape at line 1 column 18"),
    (b'{"inputs":1e999}', "inputs: number out of range at line 1 column 15"),
]
DATA = [
    (b'{"parameters":{}}', "missing field `inputs` at line 1 column 17"),
    (b'{"inputs":1}', "inputs: invalid type: integer `1`, expected a string at line 1 column 11"),
    (b'{"inputs":null}', "inputs: invalid type: null, expected a string at line 1 column 14"),
    (b'{"inputs":true}', "inputs: invalid type: boolean `true`, expected a string at line 1 column 14"),
    (b'{"inputs":[]}', "inputs: invalid type: sequence, expected a string at line 1 column 10"),
    (b'{"inputs":"a","inputs":"b"}', "duplicate field `inputs` at line 1 column 22"),
    (b'"x"', 'invalid type: string "x", expected struct GenerateRequest at line 1 column 3'),
]
PARAMETERS = [
    (b'"max_new_tokens":-1', "max_new_tokens: invalid value: integer `-1`, expected u32"),
    (b'"max_new_tokens":1.5', "max_new_tokens: invalid type: floating point `1.5`, expected u32"),
    (b'"max_new_tokens":4294967296', "max_new_tokens: invalid value: integer `4294967296`, expected u32"),
    (b'"temperature":"a"', 'temperature: invalid type: string "a", expected f32'),
    (b'"details":null', "details: invalid type: null, expected a boolean"),
    (b'"stop":"a"', 'stop: invalid type: string "a", expected a sequence'),
    (b'"stop":["a",3]', "stop[1]: invalid type: integer `3`, expected a string"),
]


@pytest.mark.parametrize(("body", "message"), SYNTAX)
def test_what_is_no_json(body: bytes, message: str) -> None:
    with pytest.raises(SerdeError) as caught:
        parse_request(body)
    assert (str(caught.value), caught.value.data) == (message, False)


@pytest.mark.parametrize(("body", "message"), DATA)
def test_what_is_json_of_another_kind(body: bytes, message: str) -> None:
    with pytest.raises(SerdeError) as caught:
        parse_request(body)
    assert (str(caught.value), caught.value.data) == (message, True)


@pytest.mark.parametrize(("parameter", "message"), PARAMETERS)
def test_parameters_of_another_kind(parameter: bytes, message: str) -> None:
    with pytest.raises(SerdeError) as caught:
        parse_request(b'{"inputs":"a","parameters":{' + parameter + b"}}")
    assert str(caught.value).startswith(f"parameters.{message} at line 1 column ")


def test_unknown_fields_of_every_kind_are_skipped() -> None:
    body = b' { "x" : [1, -2.5e3, "\\u00e9", {"a": [], "b": 1}, null] , "inputs" : "\\u00e9\\n\xc3\xa9" } '
    assert parse_request(body).inputs == "é\né"


def test_defaults_with_and_without_parameters() -> None:
    assert parse_request(b'{"inputs":"a"}').samples
    given_some = parse_request(b'{"inputs":"a","parameters":{"stop":["x"],"seed":null}}')
    assert not given_some.samples
    assert given_some.parameters["stop"] == ("x",)
    compat = parse_compat_request(b'{"inputs":"a","stream":true,"parameters":{"return_full_text":false}}')
    assert compat.stream
    assert compat.parameters["return_full_text"] is False
    assert parse_compat_request(b'{"inputs":"a"}').parameters["return_full_text"] is True


@given(st.binary(max_size=60))
def test_any_bytes_are_understood_or_refused(body: bytes) -> None:
    with contextlib.suppress(SerdeError):
        parse_request(b'{"inputs":"a","parameters":' + body)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(SerdeError, match="recursion limit exceeded"):
        parse_request(b'{"x":' + b"[" * 100_000)
