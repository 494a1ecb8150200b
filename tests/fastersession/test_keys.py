"""Keys: what is refused, what is derived, and how they are replaced while they are in use."""

import base64
import hashlib
import hmac
import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastersession import FasterSessionMiddleware, KeyRing
from fastersession.cookies import IdSigner
from tests.fastersession.apps import APP
from tests.fastersession.browser import KEY, Browser
from tests.fastersession.spy import SpyStore

OLD, NEW = "old-" + KEY, "new-" + KEY
KEYS = st.lists(st.text(min_size=16, max_size=64), min_size=1, max_size=5)


@given(KEYS, st.binary(max_size=40))
def test_26_1_each_purpose_has_its_own_key(keys: list[str], purpose: bytes) -> None:
    ring = KeyRing(keys)
    expected = [hmac.new(key.encode(), purpose, hashlib.sha256).digest() for key in keys]
    assert list(ring.derived(purpose)) == expected
    assert ring.derived(purpose) != ring.derived(purpose + b"2")


@given(KEYS)
def test_26_2_fingerprints_tell_keys_apart_and_show_nothing(keys: list[str]) -> None:
    ring = KeyRing(keys)
    assert len(ring.fingerprints()) == len(ring) == len(keys)
    assert all(len(mark) == 8 and int(mark, 16) >= 0 for mark in ring.fingerprints())
    assert len(set(ring.fingerprints())) == len(set(keys))
    assert not any(key in repr(ring) for key in keys)


def test_26_3_a_fingerprint_is_the_same_everywhere() -> None:
    expected = hashlib.sha256(b"fastersession.key-fingerprint:" + KEY.encode()).hexdigest()[:8]
    assert KeyRing(KEY).fingerprints() == (expected,) == KeyRing([KEY]).fingerprints()


@pytest.mark.parametrize(
    "keys", ["", "short", [], [KEY, "short"], [b"0" * 32], [None], ["\udc80" * 16], "é" * 7]
)
def test_26_4_bad_keys_are_refused_and_the_old_ones_stay(keys: str | list[str]) -> None:
    ring = KeyRing(OLD)
    for attempt in (KeyRing, ring.replace):
        with pytest.raises(ValueError, match="openssl rand") as caught:
            attempt(keys)
        assert "short" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert ring.fingerprints() == KeyRing(OLD).fingerprints()


async def test_26_5_keys_are_replaced_while_serving_and_nobody_is_logged_out() -> None:
    ring = KeyRing(OLD)
    app = FasterSessionMiddleware(APP, secret_key=ring, store=SpyStore())
    active, idle = Browser(app), Browser(app)
    await active.ask("/count")
    await idle.ask("/count")
    ring.replace([OLD, NEW])
    assert (await active.ask("/count")).headers("set-cookie") == []  # the new one verifies only
    ring.replace([NEW, OLD])
    assert len((await active.ask("/count")).headers("set-cookie")) == 1  # signed anew
    assert (await active.ask("/count")).headers("set-cookie") == []
    ring.replace(NEW)
    assert (await active.ask("/count")).body == b"5"
    assert (await idle.ask("/count")).body == b"1"  # its key is gone


def test_26_6_nothing_is_derived_twice_for_the_same_keys() -> None:
    ring = KeyRing(OLD)
    first = ring.derived(b"purpose")
    ring.replace([OLD])
    assert ring.derived(b"purpose") is first
    ring.replace([NEW, OLD])
    assert ring.derived(b"purpose")[1:] == first


def test_26_7_no_request_sees_a_mixture_of_old_and_new_keys() -> None:
    ring, done = KeyRing([OLD, NEW]), threading.Event()
    signer, wrong = IdSigner(ring), []

    def use() -> None:
        while not done.is_set():
            if signer.verify(signer.sign("i" * 43).encode()) is None or len(ring.derived(b"x")) != 2:
                wrong.append(True)

    users = [threading.Thread(target=use) for _ in range(2)]
    for user in users:
        user.start()
    for _ in range(300):
        ring.replace([NEW, OLD])
        ring.replace([OLD, NEW])
    done.set()
    for user in users:
        user.join()
    assert wrong == []


def test_26_8_the_placeholder_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    ring = KeyRing(KEY)
    assert caplog.records == []
    ring.replace(["your-session-secret-key", KEY])
    ring.replace([KEY, "your-session-secret-key"])
    assert len(caplog.records) == 1
    assert "placeholder" in caplog.text


def test_26_9_cookies_that_older_versions_signed_still_hold() -> None:
    derived = hmac.digest(KEY.encode(), b"fastersession.session-id", "sha256")
    signature = base64.urlsafe_b64encode(hmac.digest(derived, b"i" * 43, "sha256")).rstrip(b"=")
    assert IdSigner(KEY).verify(b"i" * 43 + b"." + signature) == "i" * 43
