"""The cookie as browsers, attackers and other middleware see it."""

import hashlib
import json
import logging
from dataclasses import replace

import pytest
from itsdangerous import Signer
from starlette.applications import Starlette

from fastersession import Change, FasterSessionMiddleware, MemoryStore
from fastersession.asgi import Receive, Scope, Send
from tests.fastersession.apps import APP, middleware, session_id, the_session
from tests.fastersession.browser import KEY, Browser, reply_with
from tests.fastersession.spy import SpyStore


async def test_26a_the_cookie_is_a_signed_id_with_all_its_attributes() -> None:
    reply = await Browser(middleware(SpyStore())).ask("/count")
    (header,) = reply.headers("set-cookie")
    pair, *attributes = header.split("; ")
    assert attributes == ["Path=/", "HttpOnly", "Secure", "SameSite=Lax"]
    assert pair.startswith("__Host-session=")
    assert len(pair) == len("__Host-session=") + 43 + 1 + 43


async def test_26_60_it_can_be_partitioned_from_its_setting_to_its_end() -> None:
    app = FasterSessionMiddleware(
        APP, secret_key=KEY, store=MemoryStore(), secure=True, same_site="none", partitioned=True
    )
    browser = Browser(app)
    for path in ("/count", "/log_out"):
        (header,) = (await browser.ask(path)).headers("set-cookie")
        assert header.endswith("; Path=/; HttpOnly; Secure; SameSite=None; Partitioned")
        assert header.startswith("__Host-session=")
    with pytest.raises(ValueError, match="Partitioned"):
        FasterSessionMiddleware(APP, secret_key=KEY, store=MemoryStore(), partitioned=True)


async def test_26_61_of_several_cookies_that_we_signed_the_one_that_is_stored_counts() -> None:
    """Browsers keep one for each path, and one for each site that embeds ours: some are of ended sessions."""
    app = middleware(SpyStore())
    old, now = Browser(app), Browser(app)
    for browser in (old, now):
        assert (await browser.ask("/count")).body == b"1"
    both = "; ".join(f"__Host-session={one.cookies['__Host-session']}" for one in (old, now)).encode()
    assert (await old.ask("/count", cookie=both)).body == b"2"
    await old.ask("/log_out")
    for count in (b"2", b"3"):
        assert (await now.ask("/count", cookie=both)).body == count
    await now.ask("/log_out")
    assert (await now.ask("/count", cookie=both)).body == b"1"


async def test_26_62_who_logs_out_ends_all_of_them() -> None:
    store = SpyStore()
    app = middleware(store)
    browsers = [Browser(app), Browser(app)]
    for browser in browsers:
        await browser.ask("/count")
    both = "; ".join(f"__Host-session={one.cookies['__Host-session']}" for one in browsers).encode()
    await browsers[0].ask("/log_out", cookie=both)
    assert len(store.memory) == 0


async def test_26b_it_is_sent_once() -> None:
    browser = Browser(middleware(SpyStore()))
    await browser.ask("/count")
    assert (await browser.ask("/count")).headers("set-cookie") == []


async def test_26c_the_applications_own_cookies_are_kept() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 1
        own = [(b"set-cookie", b"theme=dark"), (b"set-cookie", b"lang=de")]
        await send({"type": "http.response.start", "status": 200, "headers": tuple(own)})
        await send({"type": "http.response.body", "body": b""})

    cookies = (await Browser(middleware(SpyStore(), app)).ask()).headers("set-cookie")
    assert cookies[:2] == ["theme=dark", "lang=de"]
    assert cookies[2].startswith("__Host-session=")


async def test_26d_keys_can_be_rotated() -> None:
    store, old, new = SpyStore(), "old-" + KEY, "new-" + KEY
    browser = Browser(FasterSessionMiddleware(APP, secret_key=old, store=store))
    await browser.ask("/count")
    browser.app = FasterSessionMiddleware(APP, secret_key=[new, old], store=store)
    assert (await browser.ask("/count")).body == b"2"
    browser.app = FasterSessionMiddleware(APP, secret_key=[new], store=store)
    assert (await browser.ask("/count")).body == b"3"


async def test_26e_a_dropped_key_is_no_longer_believed() -> None:
    store = SpyStore()
    browser = Browser(FasterSessionMiddleware(APP, secret_key="old-" + KEY, store=store))
    await browser.ask("/count")
    browser.app = FasterSessionMiddleware(APP, secret_key="new-" + KEY, store=store)
    assert (await browser.ask("/count")).body == b"1"


@pytest.mark.parametrize("key", ["", "short", [], ["x" * 15], [KEY, "short"]])
def test_26f_short_or_no_keys_are_refused(key: str | list[str]) -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        FasterSessionMiddleware(APP, secret_key=key, store=MemoryStore())


async def test_26g_the_documents_snippet_runs_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    app = Starlette()
    app.add_middleware(
        FasterSessionMiddleware,
        secret_key="your-session-secret-key",
        store=MemoryStore(),
        http_only=True,
        secure=True,
    )
    assert (await Browser(app).ask("/nothing")).status == 404
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "placeholder" in caplog.text


async def test_26h_secure_behind_plain_http_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(the_session(scope).plain_http_with_secure_cookie)
        await reply_with(send)

    store = SpyStore()
    await Browser(middleware(store, app)).ask()
    plain = Browser(middleware(store, app), scheme="http")
    await plain.ask()
    await plain.ask()
    assert seen == [False, True, True]
    assert len([record for record in caplog.records if "plain http" in record.message]) == 1
    insecure = FasterSessionMiddleware(app, secret_key=KEY, store=store)
    await Browser(insecure, scheme="http").ask()
    assert seen[-1] is False


@pytest.mark.parametrize(
    "cookie",
    [
        b"__Host-session=",
        b"__Host-session",
        b"__Host-session=x.y",
        b"__Host-session=" + b"A" * 43 + b"." + b"B" * 43,
        b"__Host-session=\xff\xfe",
        b"=; ;;==; __Host-session=\x00",
        b"__Host-session=" + b"a" * 100_000,
        b'__Host-session="' + b"A" * 43 + b'"',
    ],
)
async def test_24c_whatever_cookie_comes_a_fresh_session_is_given(cookie: bytes) -> None:
    store = SpyStore()
    reply = await Browser(middleware(store)).ask("/count", cookie=cookie)
    assert (reply.status, reply.body, store.calls) == (200, b"1", ["save"])


async def test_24d_a_tampered_cookie_is_not_believed() -> None:
    browser = Browser(middleware(SpyStore()))
    await browser.ask("/count")
    value = browser.cookies["__Host-session"]
    changed = ("B" if value[0] == "A" else "A") + value[1:]
    reply = await browser.ask("/count", cookie=f"__Host-session={changed}".encode())
    assert reply.body == b"1"


async def test_24e_an_expired_session_begins_anew_with_a_new_id() -> None:
    store = SpyStore()
    browser = Browser(middleware(store))
    await browser.ask("/count")
    former = browser.cookies["__Host-session"]
    store.clock.now += 1001
    assert (await browser.ask("/count")).body == b"1"
    assert browser.cookies["__Host-session"] != former


async def test_24f_of_several_cookies_the_first_that_is_ours_counts() -> None:
    browser = Browser(middleware(SpyStore()))
    await browser.ask("/count")
    mine = browser.cookies["__Host-session"]
    line = f"__Host-session=planted; other=1; __Host-session={mine}; __Host-session=last".encode()
    assert (await browser.ask("/count", cookie=line)).body == b"2"


async def test_24g_a_signature_is_worth_nothing_for_another_purpose() -> None:
    other = Signer(KEY, salt="another purpose", key_derivation="hmac", digest_method=hashlib.sha256)
    forged = other.sign("A" * 43)
    assert (
        await Browser(middleware(SpyStore())).ask("/count", cookie=b"__Host-session=" + forged)
    ).body == b"1"


async def test_24h_a_record_that_cannot_be_read_is_an_error_not_an_empty_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    store = SpyStore()
    browser = Browser(middleware(store))
    await browser.ask("/count")
    record = await store.load(session_id(browser))
    assert record is not None
    broken = Change(1, record.last_accessed_at, replace(record, attributes="{broken"))
    await store.save(session_id(browser), broken, ttl=60)
    reply = await browser.ask("/peek")
    assert (reply.status, json.loads(reply.body)["error"]) == (500, "session_data_invalid")
