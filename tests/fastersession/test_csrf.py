"""Requests that a page of somebody else has a browser send."""

import json
import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastersession import FasterSessionMiddleware, MemoryStore
from fastersession.asgi import Receive, Scope, Send
from fastersession.csrf import Origin, OriginCheck
from tests.fastersession.apps import APP
from tests.fastersession.browser import KEY, Browser
from tests.fastersession.spy import SpyStore

SAFE = ["GET", "HEAD", "OPTIONS", "TRACE"]
CHANGING = ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get"]
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,8}){0,3}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
PORTS = st.integers(1, 65535)
SCHEMES = st.sampled_from(["http", "https"])
DEFAULT = {"http": 80, "https": 443}


def passes(
    *,
    origin: str | None = None,
    host: str | None = "chat.example",
    site: str | None = None,
    method: str = "POST",
    scheme: str = "http",
    allowed: Sequence[str] = (),
    more: Sequence[tuple[bytes, bytes]] = (),
) -> bool:
    """Whether a request with these headers is let in."""
    named = {"host": host, "origin": origin, "sec-fetch-site": site}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in named.items() if value is not None]
    scope: Scope = {"type": "http", "method": method, "scheme": scheme, "headers": [*headers, *more]}
    return OriginCheck(allowed).refusal(scope) is None


@pytest.mark.parametrize("method", SAFE)
def test_26_10_what_changes_nothing_passes(method: str) -> None:
    assert passes(method=method, origin="https://evil.example", site="cross-site")


@pytest.mark.parametrize("method", CHANGING)
def test_26_11_a_foreign_page_may_change_nothing(method: str) -> None:
    assert not passes(method=method, origin="https://evil.example", site="cross-site")
    assert not passes(method=method, origin="https://evil.example")
    assert not passes(method=method, site="cross-site")


@pytest.mark.parametrize("method", CHANGING)
def test_26_12_who_is_no_browser_passes(method: str) -> None:
    assert passes(method=method)
    assert passes(method=method, host=None)


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("same-origin", True),
        ("none", True),
        (" same-origin ", True),
        ("same-site", False),
        ("cross-site", False),
        ("", False),
        ("Same-Origin", False),  # browsers write it in lower case only
        ("same-origin, cross-site", False),
        ("same-origin\xff", False),
    ],
)
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://chat.example"])
def test_26_13_sec_fetch_site_decides_where_it_is_sent(site: str, expected: bool, origin: str | None) -> None:
    assert passes(site=site, origin=origin) is expected


def test_26_14_of_two_sec_fetch_sites_both_must_be_our_own() -> None:
    assert not passes(site="same-origin", more=[(b"sec-fetch-site", b"cross-site")])
    assert passes(site="same-origin", more=[(b"Sec-Fetch-Site", b"none")])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://chat.example", "chat.example"),
        ("http://chat.example", "chat.example"),
        ("http://chat.example", "chat.example:80"),
        ("https://chat.example", "chat.example:443"),
        ("https://chat.example:443", "chat.example"),
        ("http://CHAT.example", "chat.EXAMPLE"),
        ("HTTPS://chat.example", "chat.example:"),
        ("http://localhost:8080", "localhost:8080"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://[::1]", "[0:0:0:0:0:0:0:1]:80"),
        ("https://[2001:DB8::1]", "[2001:db8:0::1]"),
    ],
)
def test_26_15_our_own_pages_pass_without_sec_fetch_site(origin: str, host: str) -> None:
    assert passes(origin=origin, host=host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "chat.example"),
        ("null", "null"),
        ("", "chat.example"),
        ("chat.example", "chat.example"),
        ("//chat.example", "chat.example"),
        ("ftp://chat.example", "chat.example"),
        ("file://", ""),
        ("file://", "chat.example"),
        ("http://chat.example.evil.example", "chat.example"),
        ("http://evilchat.example", "chat.example"),
        ("http://chat.example:8080", "chat.example"),
        ("http://chat.example", "chat.example:8080"),
        ("http://chat.example", "chat.example:443"),
        ("https://chat.example", "chat.example:80"),
        ("http://chat.example@evil.example", "evil.example"),
        ("http://evil.example@chat.example", "chat.example"),
        ("http://chat.example", "evil.example@chat.example"),
        ("http://chat.example/", "chat.example"),
        ("http://chat.example/path", "chat.example"),
        ("http://chat.example?", "chat.example"),
        ("http://chat.example#", "chat.example"),
        ("http://chat.example\\", "chat.example"),
        ("http://chat.example, http://evil.example", "chat.example"),
        ("http://chat.example http://evil.example", "chat.example"),
        ("http://chat.example\n", "chat.example"),
        ("http://chat.example", "chat.example, evil.example"),
        ("http://chat.example.", "chat.example"),
        ("http://chat.example:\u0661", "chat.example:1"),
        ("http://[::1]", "[::2]"),
        ("http://[::1]", "::1"),
        ("http://[::1%25eth0]", "[::1]"),
        ("http://[::1", "[::1"),
        ("http://[chat.example]", "[chat.example]"),
        ("http://[1::2::3]", "[1::2::3]"),
        ("http://" + "a" * 300, "a" * 300),
    ],
)
def test_26_16_what_only_looks_like_our_own_does_not(origin: str, host: str) -> None:
    headers = [(b"origin", origin.encode()), (b"host", host.encode())]
    scope: Scope = {"type": "http", "method": "POST", "scheme": "http", "headers": headers}
    assert OriginCheck().refusal(scope) is not None


def test_26_17_a_host_must_be_there_once() -> None:
    assert not passes(origin="http://chat.example", host=None)
    assert not passes(origin="http://chat.example", more=[(b"host", b"chat.example")])
    assert not passes(origin="http://evil.example", more=[(b"host", b"evil.example")])


def test_26_18_several_origins_are_none() -> None:
    own = "http://chat.example"
    assert not passes(origin=own, more=[(b"origin", own.encode())])
    assert not passes(origin=own, more=[(b"origin", b"https://evil.example")], allowed=[own])


@pytest.mark.parametrize(
    "name",
    [b"x-forwarded-host", b"forwarded", b"x-original-host", b"x-host", b"referer", b"x-forwarded-server"],
)
def test_26_19_no_other_header_says_who_we_are(name: bytes) -> None:
    value = b"host=evil.example" if name == b"forwarded" else b"evil.example"
    assert not passes(origin="http://evil.example", more=[(name, value)])


def test_26_20_a_page_of_plain_http_may_change_nothing_over_https() -> None:
    assert not passes(origin="http://chat.example", scheme="https")
    assert not passes(origin="http://chat.example:443", host="chat.example:443", scheme="https")
    assert passes(origin="https://chat.example", scheme="https")
    assert passes(origin="http://chat.example", scheme="https", allowed=["http://chat.example"])


@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "nonsense"])
def test_26_21_allowed_origins_may_change_something(site: str | None) -> None:
    allowed = ["https://app.example", "HTTP://Dev.Example:3000", "https://[::1]:443", "capacitor://localhost"]
    for origin in (
        "https://app.example",
        "https://app.example:443",
        "http://dev.example:3000",
        "https://[::1]",
        "capacitor://localhost",
    ):
        assert passes(origin=origin, site=site, allowed=allowed)
    for origin in (
        "http://app.example",
        "https://app.example:444",
        "https://sub.app.example",
        "https://app.example.evil.example",
        "http://dev.example",
        "capacitor://localhost:1",
        "null",
    ):
        assert not passes(origin=origin, site=site, allowed=allowed)


@pytest.mark.parametrize(
    "bad",
    [
        "*",
        "null",
        "",
        "https://*.example",
        "https://app.example/",
        "https://app.example/path",
        "app.example",
        "https://",
        "https://user@app.example",
        "https://app.example:port",
        "https://app.example:123456",
        "https://[::1",
        "https://ex ample",
        "https://app.example\r\nX: y",
    ],
)
def test_26_22_allowed_origins_are_checked_at_the_start(bad: str) -> None:
    with pytest.raises(ValueError, match="allowed_origins"):
        FasterSessionMiddleware(
            APP, secret_key=KEY, store=MemoryStore(), allowed_origins=["https://fine.example", bad]
        )


def test_26_23_a_text_is_no_list_of_origins() -> None:
    with pytest.raises(ValueError, match="list"):
        OriginCheck("https://app.example")


@given(SCHEMES, HOSTS, PORTS)
def test_26_24_an_origin_is_its_own_in_every_spelling(scheme: str, host: str, port: int) -> None:
    assert passes(origin=f"{scheme}://{host}:{port}", host=f"{host}:{port}")
    assert passes(origin=f"{scheme}://{host}:{port}".upper(), host=f"{host}:{port}")
    assert passes(origin=f"{scheme}://{host}", host=f"{host}:{DEFAULT[scheme]}")
    assert passes(origin=f"{scheme}://{host}:{DEFAULT[scheme]}", host=host.upper())


@given(SCHEMES, HOSTS, PORTS, SCHEMES, HOSTS, PORTS)
def test_26_25_another_host_or_port_is_another_origin(
    scheme: str, host: str, port: int, other_scheme: str, other_host: str, other_port: int
) -> None:
    same = (host, port) == (other_host, other_port)
    assert passes(origin=f"{scheme}://{host}:{port}", host=f"{other_host}:{other_port}") is same
    allowed = [f"{other_scheme}://{other_host}:{other_port}"]
    same = same and scheme == other_scheme
    assert passes(origin=f"{scheme}://{host}:{port}", site="cross-site", allowed=allowed) is same


@given(st.text(st.characters(max_codepoint=255), max_size=60), st.text(st.characters(max_codepoint=255)))
def test_26_26_nothing_that_is_sent_raises_or_is_taken_for_allowed(origin: str, host: str) -> None:
    assert not passes(origin=origin, host=host, site="cross-site", allowed=["https://app.example"])
    passes(origin=origin, host=host)


@given(HOSTS, st.text(st.characters(max_codepoint=255), min_size=1, max_size=5))
def test_26_27_nothing_may_stand_around_an_origin(host: str, more: str) -> None:
    if more.strip(" \t") == "" or f"{host}{more}".endswith(":"):
        return  # HTTP strips spaces around a value; an empty port is no port
    assert not passes(origin=f"http://{host}", host=f"{host}{more}")
    assert not passes(origin=f"http://{host}{more}", host=host)


def test_26_28_an_origin_has_one_spelling() -> None:
    spellings = ["https://[::1]", "HTTPS://[::1]:443", "https://[0:0::1]:0443", "https://[::0001]:"]
    assert {Origin.parse(text) for text in spellings} == {Origin("https", "[::1]", 443)}


async def test_26_29_a_refused_request_reaches_neither_store_nor_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    store = SpyStore()
    browser = Browser(FasterSessionMiddleware(APP, secret_key=KEY, store=store))
    await browser.ask("/count", method="POST")
    store.calls.clear()
    evil = [(b"origin", b"https://evil.example\r\nforged: line"), (b"sec-fetch-site", b"cross-site")]
    reply = await browser.ask("/count", method="POST", headers=evil)
    assert (reply.status, reply.headers("content-type")) == (403, ["application/json"])
    assert json.loads(reply.body)["error"] == "cross_origin_request"
    assert set(json.loads(reply.body)) == {"error", "detail"}
    assert (reply.headers("set-cookie"), store.calls) == ([], [])
    assert "evil.example" in caplog.text
    assert "evil" not in reply.body.decode()
    assert "\nforged" not in caplog.text
    assert (await browser.ask("/count", method="POST")).body == b"2"


async def test_26_30_websockets_are_the_applications_own_matter() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing() -> dict[str, object]:
        return {}

    async def drop(message: object) -> None: ...

    scope: Scope = {"type": "websocket", "headers": [(b"origin", b"https://evil.example")]}
    await FasterSessionMiddleware(app, secret_key=KEY, store=MemoryStore())(scope, nothing, drop)
    assert seen == [scope]
