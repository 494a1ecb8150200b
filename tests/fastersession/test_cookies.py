"""Reading and writing the cookie itself."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastersession.cookies import (
    CookiePolicy,
    IdSigner,
    SameSite,
    cookie_values,
    default_name,
    new_id,
    read_cookie,
)
from tests.fastersession.browser import KEY

SIGNER = IdSigner(KEY)
HEADERS = st.lists(st.tuples(st.sampled_from([b"cookie", b"Cookie", b"host"]), st.binary(max_size=200)))


@given(HEADERS)
@example([(b"cookie", b"session=\xff; session")])
def test_24i_no_header_raises_or_is_believed(headers: list[tuple[bytes, bytes]]) -> None:
    assert read_cookie(headers, "session", SIGNER).ids == ()


@given(st.binary(max_size=120))
def test_24j_no_value_raises_or_is_believed(value: bytes) -> None:
    assert SIGNER.verify(value) is None


@pytest.mark.parametrize("id_", ["i" * 43, "-" * 43, "AZaz09_-" * 5 + "xyz"])
def test_24k_every_changed_byte_is_noticed(id_: str) -> None:
    value = SIGNER.sign(id_).encode()
    assert SIGNER.verify(value) == id_
    for position in range(len(value)):
        for other in range(256):
            changed = value[:position] + bytes([other]) + value[position + 1 :]
            assert changed == value or SIGNER.verify(changed) is None, (position, other)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_24l_ours_is_found_between_others(before: bytes, after: bytes) -> None:
    id_ = new_id()
    line = before.replace(b"session", b"") + b"; session=" + SIGNER.sign(id_).encode() + b";" + after
    assert read_cookie([(b"cookie", line)], "session", SIGNER).ids == (id_,)


def test_24m_cookies_may_come_in_several_headers_and_in_quotes() -> None:
    headers = [(b"cookie", b"a=1"), (b"Cookie", b'session="v"; session=w'), (b"x", b"session=no")]
    assert cookie_values(headers, "session") == [b"v", b"w"]


def test_24n_only_a_few_of_many_are_tried() -> None:
    id_ = new_id()
    ours = b"session=" + SIGNER.sign(id_).encode()
    assert read_cookie([(b"cookie", b"session=x;" * 7 + ours)], "session", SIGNER).ids == (id_,)
    assert read_cookie([(b"cookie", b"session=x;" * 8 + ours)], "session", SIGNER).ids == ()
    many = [new_id() for _ in range(5)]
    line = "; ".join(f"session={SIGNER.sign(one)}" for one in [many[0], *many]).encode()
    assert read_cookie([(b"cookie", line)], "session", SIGNER).ids == tuple(many[:3])


def test_26i_the_first_key_signs_every_key_verifies() -> None:
    first, second = "1" * 16, "2" * 16
    both = IdSigner([first, second])
    assert both.sign("i" * 43) == IdSigner(first).sign("i" * 43)
    assert both.verify(IdSigner(second).sign("i" * 43).encode()) == "i" * 43
    assert IdSigner(first).verify(IdSigner(second).sign("i" * 43).encode()) is None


def test_26j_a_key_is_measured_in_bytes() -> None:
    IdSigner("é" * 8)
    with pytest.raises(ValueError, match="16 bytes"):
        IdSigner("é" * 7)


@pytest.mark.parametrize(
    ("policy", "header"),
    [
        (CookiePolicy("s"), b"s=v; Path=/; HttpOnly; SameSite=Lax"),
        (CookiePolicy("s", http_only=False), b"s=v; Path=/; SameSite=Lax"),
        (CookiePolicy("s", path="/chat", same_site="strict"), b"s=v; Path=/chat; HttpOnly; SameSite=Strict"),
        (CookiePolicy("s", secure=True, same_site="none"), b"s=v; Path=/; HttpOnly; Secure; SameSite=None"),
        (
            CookiePolicy("__Host-s", secure=True, same_site="none", partitioned=True),
            b"__Host-s=v; Path=/; HttpOnly; Secure; SameSite=None; Partitioned",
        ),
    ],
)
def test_26k_every_attribute_is_where_it_belongs(policy: CookiePolicy, header: bytes) -> None:
    assert policy.set("v") == header


@pytest.mark.parametrize(
    ("name", "path", "secure", "same_site"),
    [
        ("s", "/", False, "none"),
        ("s", "/", False, "other"),
        ("s\r\nX: y", "/", False, "lax"),
        ("s;", "/", False, "lax"),
        ("", "/", False, "lax"),
        ("s", "/a; Domain=evil", False, "lax"),
        ("s", "/\r\n", False, "lax"),
        ("s", "chat", False, "lax"),
        ("__Host-s", "/", False, "lax"),
        ("__Secure-s", "/", False, "lax"),
        ("__Host-s", "/chat", True, "lax"),
    ],
)
def test_26l_what_browsers_drop_or_what_breaks_out_is_refused(
    name: str, path: str, secure: bool, same_site: SameSite
) -> None:
    with pytest.raises(ValueError, match=r"browsers drop|not a valid|one of"):
        CookiePolicy(name, path, secure=secure, same_site=same_site)


def test_26_31_a_partitioned_cookie_needs_secure() -> None:
    with pytest.raises(ValueError, match="Partitioned"):
        CookiePolicy("s", partitioned=True)


def test_26_32_a_cookie_is_expired_with_the_attributes_that_it_was_set_with() -> None:
    policy = CookiePolicy("__Host-s", secure=True, same_site="none", partitioned=True)
    attributes = policy.set("v").split(b"; ")[1:]
    assert policy.expire().split(b"; ")[0] == b"__Host-s="
    assert policy.expire().split(b"; ")[3:] == attributes


def test_26m_the_name_has_the_strictest_prefix() -> None:
    names = [default_name(*case) for case in ((False, "/"), (True, "/"), (True, "/chat"))]
    assert names == ["session", "__Host-session", "__Secure-session"]
