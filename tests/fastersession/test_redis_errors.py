"""What redis-py raises is named, and no text holds what was sent."""

import ssl
from collections.abc import Callable

import pytest
from redis import exceptions as redis
from redis.asyncio.connection import Connection

from fastersession import errors
from fastersession.redis.errors import named

NO_PASSWORD_SET = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
SECRET = "chatstream:session:{an-id}"


def answered(text: str) -> Exception:
    """What redis-py makes of an error answer."""
    parse: Callable[[str], Exception] = Connection()._parser.parse_error
    return parse(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", errors.StoreFull),
        ("ERR Error running script (call to f_1): @user_script:2: -OOM command", errors.StoreFull),
        ("READONLY You can't write against a read only replica.", errors.StoreReadOnly),
        ("MISCONF Redis is configured to save RDB snapshots, but", errors.StoreReadOnly),
        ("NOREPLICAS Not enough good replicas to write.", errors.StoreReadOnly),
        ("LOADING Redis is loading the dataset in memory", errors.StoreBusy),
        ("BUSY Redis is busy running a script.", errors.StoreBusy),
        ("TRYAGAIN Multiple keys request during rehashing of slot", errors.StoreBusy),
        ("ERR max number of clients reached", errors.StoreBusy),
        ("WRONGPASS invalid username-password pair or user is disabled.", errors.StoreDenied),
        ("NOAUTH Authentication required.", errors.StoreDenied),
        ("NOPERM this user has no permissions to run the 'evalsha' command", errors.StoreDenied),
        ("ERR The user executing the script can't run this command or subcommand", errors.StoreDenied),
        (NO_PASSWORD_SET, errors.StoreDenied),
        ("CLUSTERDOWN The cluster is down", errors.StoreUnreachable),
        ("MASTERDOWN Link with MASTER is down", errors.StoreUnreachable),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", errors.InvalidSessionData),
        (f"ERR unknown command 'EVALSHA', with args beginning with: '1' '{SECRET}'", errors.StoreFailed),
        ("ERR anything else", errors.StoreFailed),
        ("", errors.StoreFailed),
    ],
)  # fmt: skip
def test_28_20_an_answer_of_redis_has_its_error(text: str, kind: type[errors.SessionError]) -> None:
    error = named(answered(text), "Redis at host:1")
    assert type(error) is kind
    assert str(error).startswith("Redis at host:1: ")
    assert len(str(error)) > len("Redis at host:1: ")
    assert SECRET not in str(error)


def bad_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "long words of OpenSSL")
    error.verify_message = "certificate has expired"
    return error


def chained(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (redis.ConnectionError("Error 111 connecting to host:1."), errors.StoreUnreachable),
        (redis.TimeoutError("Timeout connecting to server"), errors.StoreTimeout),
        (redis.MaxConnectionsError(), errors.StoreBusy),
        (chained(redis.ConnectionError("x"), bad_certificate()), errors.StoreCertificateInvalid),
        (chained(redis.ConnectionError("x"), redis.AuthenticationError("y")), errors.StoreDenied),
        (chained(redis.ConnectionError("x"), redis.ReadOnlyError("READONLY y")), errors.StoreReadOnly),
        (chained(redis.RedisClusterException("x"), redis.TimeoutError("y")), errors.StoreTimeout),
        (chained(redis.RedisClusterException("x"), redis.NoPermissionError("NOPERM y")), errors.StoreDenied),
        (redis.RedisClusterException(f"No way to dispatch. Command: {SECRET}"), errors.StoreUnreachable),
        (redis.RedisClusterException("Cluster mode is not enabled on this node"), errors.StoreFailed),
        (redis.RedisClusterException("All slots are not covered"), errors.StoreUnreachable),
        (redis.ClusterDownError("CLUSTERDOWN The cluster is down"), errors.StoreUnreachable),
        (redis.InvalidResponse("Protocol error"), errors.StoreFailed),
        (redis.DataError("Invalid input"), errors.StoreFailed),
    ],
)  # fmt: skip
def test_28_21_what_happens_on_the_way_has_its_error(
    error: Exception, kind: type[errors.SessionError]
) -> None:
    found = named(error, "Redis at host:1")
    assert type(found) is kind
    assert SECRET not in str(found)


def test_28_22_an_error_that_runs_in_a_circle_is_named_all_the_same() -> None:
    first, second = redis.ConnectionError("a"), redis.ConnectionError("b")
    first.__context__, second.__context__ = second, first
    assert type(named(first, "Redis")) is errors.StoreUnreachable


def test_28_23_a_long_text_is_cut() -> None:
    assert len(str(named(redis.ResponseError("x" * 10_000), "Redis"))) < 300


def test_28_24_each_error_has_a_reason_of_its_own() -> None:
    kinds = errors.StoreUnavailable.__subclasses__()
    assert len({kind.reason for kind in kinds}) == len(kinds) == 8
    assert all(kind.reason in (errors.__doc__ or "") for kind in kinds)
