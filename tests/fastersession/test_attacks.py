"""Attacks on the cookie, each as an attacker would carry it out: by HTTP."""

import asyncio
import hashlib
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import Signer, TimestampSigner, URLSafeTimedSerializer

from fastersession import FasterSessionMiddleware, KeyRing, MemoryStore
from fastersession.asgi import Receive, Scope, Send
from fastersession.cookies import CookiePolicy, IdSigner, new_id
from tests.fastersession.apps import APP, middleware, session_id, the_session
from tests.fastersession.browser import KEY, Browser, reply_with
from tests.fastersession.serving import ask_raw, serving
from tests.fastersession.spy import SpyStore

NAME = "__Host-session"


async def victim(store: SpyStore) -> Browser:
    """Somebody with a session that counts 1."""
    browser = Browser(middleware(store))
    assert (await browser.ask("/count")).body == b"1"
    store.calls.clear()
    return browser


async def is_refused(store: SpyStore, value: bytes) -> bool:
    """Whether a cookie's value gives a session of one's own, without the store being asked for another's."""
    store.calls.clear()
    reply = await Browser(middleware(store)).ask("/count", cookie=NAME.encode() + b"=" + value)
    return (reply.status, reply.body, store.calls) == (200, b"1", ["save"])


@settings(max_examples=300)
@given(st.integers(0, 86), st.integers(1, 255))
async def test_24_1_a_forged_signature_opens_no_session(position: int, difference: int) -> None:
    store = SpyStore()
    value = bytearray((await victim(store)).cookies[NAME].encode())
    value[position] ^= difference
    assert await is_refused(store, bytes(value))


async def test_24_2_a_truncated_or_extended_cookie_opens_no_session() -> None:
    store = SpyStore()
    value = (await victim(store)).cookies[NAME].encode()
    for length in range(len(value)):
        assert await is_refused(store, value[:length])
        assert await is_refused(store, value[-length:] if length else b"")
    for more in (b"=", b"==", b"A", b".", b".A", b"\x00", b"%00", b"," + value, b"." + value, b" " + value):
        assert await is_refused(store, value + more)
        assert await is_refused(store, more + value)


async def test_24_3_the_id_of_one_with_the_signature_of_another_opens_neither() -> None:
    store = SpyStore()
    ada, bob = await victim(store), await victim(store)
    id_, signature = ada.cookies[NAME].split(".")
    other_id, other_signature = bob.cookies[NAME].split(".")
    for forged in (f"{id_}.{other_signature}", f"{other_id}.{signature}", f"{signature}.{id_}"):
        assert await is_refused(store, forged.encode())
    assert (await ada.ask("/count")).body == b"2"


async def test_24_4_the_key_of_another_deployment_opens_nothing() -> None:
    store = SpyStore()
    id_ = session_id(await victim(store))
    for key in ("x" + KEY, KEY[:-1], KEY.upper(), " " + KEY):
        assert await is_refused(store, IdSigner(key).sign(id_).encode())


async def test_24_5_the_same_key_opens_nothing_for_another_purpose() -> None:
    """As of an application that uses one secret for all that it signs."""
    store = SpyStore()
    id_ = session_id(await victim(store))
    signers = [
        Signer(KEY),
        Signer(KEY, salt="fastersession"),
        Signer(KEY, salt="fastersession.session-id"),
        Signer(KEY, salt="fastersession.session-id", digest_method=hashlib.sha256),
        Signer(KEY, salt="other", key_derivation="hmac", digest_method=hashlib.sha256),
        Signer(KEY, key_derivation="none", digest_method=hashlib.sha256),
        Signer(KeyRing(KEY).derived(b"other")[0], key_derivation="none", digest_method=hashlib.sha256),
        TimestampSigner(KEY),
    ]
    for signer in signers:
        assert await is_refused(store, signer.sign(id_))
    assert await is_refused(store, URLSafeTimedSerializer(KEY).dumps(id_).encode())


@pytest.mark.parametrize(
    "line",
    [
        NAME.encode() + b"=" + b"a" * 8192,
        NAME.encode() + b"=" + b"a" * 60_000,
        b"; ".join(b"c%d=%d" % (n, n) for n in range(1000)),
        b"; ".join([NAME.encode() + b"=" + b"A" * 43 + b"." + b"A" * 43] * 400),
        b";" * 30_000,
        b"=" * 30_000,
        b'"' * 30_000,
    ],
)
async def test_24_6_an_oversized_cookie_harms_nobody(line: bytes) -> None:
    app = FasterSessionMiddleware(APP, secret_key=KEY, store=MemoryStore(), cookie_name=NAME, secure=True)
    async with serving(app) as url:
        first = await ask_raw(url, path="/count")
        mine = first.all("set-cookie")[0].split(";")[0].encode()
        reply = await ask_raw(url, b"Cookie: " + line, path="/count")
        assert (reply.status, reply.body) == (200, b"1")
        # Behind so much of it the victim's own is found, or a new session begins; never anything else.
        both = await ask_raw(url, b"Cookie: " + line + b"; " + mine, path="/peek")
        assert (both.status, both.body) in [(200, b'{"n": 1}'), (200, b"{}")]
        assert (await ask_raw(url, b"Cookie: " + mine, path="/count")).body == b"2"


async def test_24_7_more_than_the_server_takes_is_refused_and_harms_nobody() -> None:
    app = FasterSessionMiddleware(APP, secret_key=KEY, store=MemoryStore())
    async with serving(app) as url:
        reply = await ask_raw(url, b"Cookie: session=" + b"a" * 1_000_000, path="/count")
        assert reply.status in (200, 400, 431)
        assert (await ask_raw(url, path="/count")).body == b"1"


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xfe\xfd",
        "\u017fession".encode(),  # folds to "session"
        b"\xed\xb2\x80" * 20,  # a surrogate in UTF-8
        b"\xc0\xae" * 43,  # an overlong dot
        "ａ".encode() * 43 + b"." + "ａ".encode() * 43,  # noqa: RUF001 (digits and letters that only look so)
        "é".encode("latin-1") * 43 + b"." + b"A" * 43,
        b"%41" * 43 + b"." + b"%41" * 43,
        b"\t\x0b\x0c",
    ],
)
async def test_24_8_text_that_is_none_of_ascii_is_no_cookie_of_ours(value: bytes) -> None:
    app = FasterSessionMiddleware(APP, secret_key=KEY, store=MemoryStore())
    async with serving(app) as url:
        for line in (b"session=" + value, value + b"=session", value):
            reply = await ask_raw(url, b"Cookie: " + line, path="/count")
            assert (reply.status, reply.body) in [(200, b"1"), (400, b"Invalid HTTP request received.")]


async def test_24_9_of_two_cookies_of_ours_the_first_counts_and_the_other_is_left_alone() -> None:
    store = SpyStore()
    ada, bob = await victim(store), await victim(store)
    await bob.ask("/count")
    line = f"{NAME}=planted; {NAME}={ada.cookies[NAME]}; {NAME}={bob.cookies[NAME]}".encode()
    assert (await Browser(middleware(store)).ask("/count", cookie=line)).body == b"2"
    assert (await bob.ask("/count")).body == b"3"


async def test_24_10_a_name_that_is_only_like_ours_is_not_ours() -> None:
    store = SpyStore()
    value = (await victim(store)).cookies[NAME]
    for name in (
        "__host-session",
        "__HOST-SESSION",
        "session",
        f"x{NAME}",
        f"{NAME}x",
        f"\x0b{NAME}",
        f"\xa0{NAME}",
    ):
        line = f"{name}={value}".encode("latin-1")
        assert (await Browser(middleware(store)).ask("/peek", cookie=line)).body == b"{}"


@given(st.characters(exclude_characters=string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"))
def test_26_40_nothing_in_a_name_breaks_out_of_the_header(character: str) -> None:
    with pytest.raises(ValueError, match="not a valid cookie name"):
        CookiePolicy(f"s{character}x")


@given(st.characters(exclude_characters="".join(map(chr, range(32, 127)))) | st.just(";"))
def test_26_41_nothing_in_a_path_breaks_out_of_the_header(character: str) -> None:
    with pytest.raises(ValueError, match="not a valid cookie path"):
        CookiePolicy("s", f"/a{character}b")


async def test_26_42_what_users_write_reaches_no_header() -> None:
    poison = "a\r\nSet-Cookie: evil=1\r\n\r\n<script>\0;"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        attributes = the_session(scope).get_session()
        attributes[poison] = poison
        await reply_with(send, str(len(attributes)).encode())

    async with serving(FasterSessionMiddleware(app, secret_key=KEY, store=MemoryStore())) as url:
        first = await ask_raw(url)
        mine = first.all("set-cookie")[0].split(";")[0].encode()
        again = await ask_raw(url, b"Cookie: " + mine + b"; x=" + b"\x01\x7f")
    assert [cookie.partition("=")[0] for cookie in first.all("set-cookie")] == ["session"]
    assert (first.body, again.all("set-cookie")) == (b"1", [])


async def test_27_40_an_ended_sessions_cookie_is_worth_nothing() -> None:
    store = SpyStore()
    ada = await victim(store)
    stolen = f"{NAME}={ada.cookies[NAME]}".encode()
    await ada.ask("/log_out")
    thief = Browser(middleware(store))
    assert (await thief.ask("/peek", cookie=stolen)).body == b"{}"
    assert (await thief.ask("/count", cookie=stolen)).body == b"1"
    assert thief.cookies[NAME] not in stolen.decode()  # and the id is not taken up again
    assert (await thief.ask("/peek", cookie=stolen)).body == b"{}"


async def test_27_41_a_rotated_sessions_old_cookie_is_worth_nothing() -> None:
    store = SpyStore()
    ada = await victim(store)
    stolen = f"{NAME}={ada.cookies[NAME]}".encode()
    await ada.ask("/log_in")
    assert (await Browser(middleware(store)).ask("/peek", cookie=stolen)).body == b"{}"
    assert (await ada.ask("/peek")).body == b'{"n": 1, "user": "ada"}'


async def test_27_42_nobody_is_given_an_id_of_the_attackers_choice() -> None:
    """Fixation with an id that is signed, since the attacker had it from us, but not stored (any more)."""
    store = SpyStore()
    planted = IdSigner(KEY).sign(new_id())
    ada = Browser(middleware(store))
    ada.cookies[NAME] = planted
    await ada.ask("/log_in")
    assert ada.cookies[NAME] != planted
    line = f"{NAME}={planted}".encode()
    assert (await Browser(middleware(store)).ask("/peek", cookie=line)).body == b"{}"


async def test_27_43_who_logs_in_leaves_the_attackers_session() -> None:
    """Fixation with the attacker's own session, which is stored."""
    store = SpyStore()
    attacker = await victim(store)
    ada = Browser(middleware(store))
    ada.cookies.update(attacker.cookies)
    await ada.ask("/log_in")
    assert ada.cookies != attacker.cookies
    assert (await attacker.ask("/peek")).body == b"{}"
    assert (await ada.ask("/peek")).body == b'{"n": 1, "user": "ada"}'


async def test_27_44_a_lease_on_an_unknown_id_does_not_adopt_it() -> None:
    store = SpyStore()
    planted = IdSigner(KEY).sign(new_id())
    ada = Browser(middleware(store, autoload=False))
    ada.cookies[NAME] = planted
    await ada.ask("/turn")
    assert ada.cookies[NAME] != planted
    line = f"{NAME}={planted}".encode()
    assert (await Browser(middleware(store)).ask("/peek", cookie=line)).body == b"{}"
    assert (await ada.ask("/peek")).body == b'{"history": ["token"]}'


async def test_24_11_a_thousand_forged_cookies_at_once_reach_no_store() -> None:
    store = SpyStore()
    ada = await victim(store)
    app = middleware(store)
    forged = [f"{NAME}={new_id()}.{new_id()[:-1]}A".encode() for _ in range(1000)]
    replies = await asyncio.gather(*(Browser(app).ask("/peek", cookie=line) for line in forged))
    assert {reply.body for reply in replies} == {b"{}"}
    assert store.calls == []
    assert (await ada.ask("/count")).body == b"2"


async def test_26_43_a_foreign_page_is_refused_over_real_http() -> None:
    async with serving(FasterSessionMiddleware(APP, secret_key=KEY, store=MemoryStore())) as url:
        first = await ask_raw(url, method="POST", path="/count")
        mine = b"Cookie: " + first.all("set-cookie")[0].split(";")[0].encode()
        for lines in (
            (b"Origin: https://evil.example",),
            (b"Origin: null",),
            (b"Origin: http://testserver", b"Sec-Fetch-Site: cross-site"),
            (b"Origin: http://testserver", b"Origin: https://evil.example"),
            (b"ORIGIN: https://evil.example", b"X-Forwarded-Host: evil.example"),
        ):
            refused = await ask_raw(url, mine, *lines, method="POST", path="/count")
            assert (refused.status, refused.all("set-cookie")) == (403, [])
        own = await ask_raw(url, mine, b"Origin: http://testserver", method="POST", path="/count")
        assert (own.status, own.body) == (200, b"2")
