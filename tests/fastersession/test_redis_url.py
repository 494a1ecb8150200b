"""Redis URLs: every documented kind is understood; all else is a ValueError that quotes nothing of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastersession import RedisStore
from fastersession.redis.url import RedisUrl, parse_redis_url

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("redis://", RedisUrl("single", False, (("localhost", 6379),))),
        ("redis://redis", RedisUrl("single", False, (("redis", 6379),))),
        ("redis://redis:1/", RedisUrl("single", False, (("redis", 1),))),
        (
            "redis://me:p%40ss@redis:1/2",
            RedisUrl("single", False, (("redis", 1),), db=2, username="me", password="p@ss"),
        ),
        ("redis://:pw@[::1]:7/0", RedisUrl("single", False, (("::1", 7),), password="pw")),
        (
            "redis://redis?db=3&password=pw",
            RedisUrl("single", False, (("redis", 6379),), db=3, password="pw"),
        ),
        ("rediss://redis", RedisUrl("single", True, (("redis", 6379),))),
        ("unix:///run/a.sock", RedisUrl("socket", False, path="/run/a.sock")),
        (
            "unix://me:pw@/run/a.sock?db=1",
            RedisUrl("socket", False, path="/run/a.sock", db=1, username="me", password="pw"),
        ),
        (
            "redis+sentinel://me:pw@s1:1,s2/main/4?sentinel_password=sp",
            RedisUrl(
                "sentinel",
                False,
                (("s1", 1), ("s2", 26379)),
                service="main",
                db=4,
                username="me",
                password="pw",
                options={"sentinel_password": "sp"},
            ),
        ),
        ("rediss+sentinel://s1/main", RedisUrl("sentinel", True, (("s1", 26379),), service="main")),
        (
            "redis+cluster://n1:1,n2,[::1]:3/0",
            RedisUrl("cluster", False, (("n1", 1), ("n2", 6379), ("::1", 3))),
        ),
        ("rediss+cluster://n1", RedisUrl("cluster", True, (("n1", 6379),))),
        (
            "rediss://redis?ssl_ca_certs=/ca.pem&client_name=chat",
            RedisUrl(
                "single",
                True,
                (("redis", 6379),),
                options={"ssl_ca_certs": "/ca.pem", "client_name": "chat"},
            ),
        ),
    ],
)
def test_28_10_each_kind_of_url_is_understood(text: str, parsed: RedisUrl) -> None:
    assert parse_redis_url(text) == parsed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"http://:{SECRET}@redis", "scheme"),
        (SECRET, "scheme"),
        (f"redis://:{SECRET}@a,b", "several hosts"),
        (f"redis://:{SECRET}@redis:port", "port"),
        (f"redis://:{SECRET}@redis:99999", "port"),
        (f"redis://:{SECRET}@redis:0", "host"),
        (f"redis://:a/{SECRET}@redis", "%2F"),
        (f"redis://:a#{SECRET}@redis", "%23"),
        (f"redis://:{SECRET}@redis/{SECRET}", "database"),
        (f"redis://:{SECRET}@redis/0/{SECRET}", "database"),
        (f"redis://redis?{SECRET}=1", "option"),
        (f"redis://redis?{SECRET}", "option"),
        (f"redis://[{SECRET}", "cannot be read"),
        (f"redis+sentinel://:{SECRET}@s1", "service"),
        (f"redis+sentinel://:{SECRET}@s1/", "service"),
        (f"redis+sentinel://:{SECRET}@s1,,s2/main", "host"),
        (f"redis+cluster://:{SECRET}@n1/1", "database"),
        (f"unix://:{SECRET}@host/run/a.sock", "unix:///"),
        ("unix://", "unix:///"),
    ],
)
def test_28_11_what_is_no_redis_url_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        RedisStore.from_url(text)
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    "option", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "ssl_ca_path=/", "socket_timeout=99"]
)
def test_28_12_no_option_turns_a_check_or_a_limit_off(option: str) -> None:
    with pytest.raises(ValueError, match="always checked"):
        RedisStore.from_url(f"rediss://redis?{option}")


def test_28_13_tls_files_are_read_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.pem"):
        RedisStore.from_url("rediss://redis", ca_file=tmp_path / "absent.pem")
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ValueError, match="cannot be used"):
        RedisStore.from_url("rediss://redis", ca_file=empty)


def test_28_14_an_authority_for_a_connection_without_tls_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not encrypt"):
        RedisStore.from_url("redis://redis", ca_file=tmp_path / "ca.pem")
    with pytest.raises(ValueError, match="give one"):
        RedisStore.from_url("rediss://redis?ssl_ca_certs=/a.pem", ca_file=tmp_path / "ca.pem")


def test_28_15_a_url_shows_no_password() -> None:
    assert SECRET not in repr(
        parse_redis_url(f"redis+sentinel://:{SECRET}@s1/main?sentinel_password={SECRET}")
    )


@given(
    scheme=st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "rediss+cluster", "http", ""]),
    rest=st.text(alphabet="abc:/@,?=&#[]%0123456789 é\n", max_size=30),
)
def test_28_16_any_text_is_a_url_or_a_value_error(scheme: str, rest: str) -> None:
    try:
        parsed = parse_redis_url(f"{scheme}://{rest}")
    except ValueError:
        return
    assert parsed.path or all(host and 0 < port < 65536 for host, port in parsed.hosts)
