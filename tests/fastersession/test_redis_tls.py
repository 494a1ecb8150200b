"""TLS to Redis: a certificate that is not good is named, and no data goes over such a connection."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fastersession import StoreCertificateInvalid, StoreDenied, StoreTimeout, StoreUnreachable
from tests.fastersession.certificates import Authority
from tests.fastersession.faults import CALLS, IO_TIMEOUT, fails, opened, read, write
from tests.fastersession.redis_server import RedisServer, TlsPaths
from tests.fastersession.spy import eventually
from tests.fastersession.tcp_proxy import TcpProxy

Start = Callable[[TlsPaths], RedisServer]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers that are killed at the end."""
    with ExitStack() as stack:

        def begin(tls: TlsPaths) -> RedisServer:
            server = RedisServer(tmp_path, tls=tls)
            stack.callback(server.kill)
            server.start()
            return server

        yield begin


async def test_28_60_a_good_certificate_is_taken(start: Start, authority: Authority) -> None:
    server = start(authority.issue("127.0.0.1"))
    async with opened(server.url, ca_file=authority.path) as store:
        assert await write(store, 7) == 1
        assert await read(store) == 7


@pytest.mark.parametrize(
    ("hosts", "expired", "words"),
    [(["127.0.0.1"], True, "expired"), (["redis.example", "10.0.0.1"], False, "mismatch")],
    ids=["expired", "for-another-host"],
)
async def test_28_61_a_certificate_that_is_not_good_is_named(
    start: Start, authority: Authority, hosts: list[str], expired: bool, words: str
) -> None:
    server = start(authority.issue(*hosts, expired=expired))
    async with opened(server.url, ca_file=authority.path) as store:
        for name in CALLS:
            text = await fails(store, CALLS[name], StoreCertificateInvalid)
            assert words in text
            assert server.address in text


@pytest.mark.parametrize("of_system", [True, False])
async def test_28_62_who_is_signed_by_somebody_else_is_not_trusted(
    start: Start, authority: Authority, tmp_path: Path, of_system: bool
) -> None:
    server = start(authority.issue("127.0.0.1"))
    another = None if of_system else Authority(tmp_path, "another").path
    async with opened(server.url, ca_file=another) as store:
        assert "certificate" in await fails(store, CALLS["load"], StoreCertificateInvalid)


async def test_28_63_a_renewed_certificate_is_taken_without_a_restart(
    start: Start, authority: Authority
) -> None:
    paths = authority.issue("127.0.0.1", expired=True)
    server = start(paths)
    async with opened(server.url, ca_file=authority.path) as store:
        await fails(store, CALLS["load"], StoreCertificateInvalid)
        renewed = authority.issue("127.0.0.1")
        renewed.certificate.replace(paths.certificate)
        renewed.key.replace(paths.key)
        server.kill()
        server.start()
        assert await write(store, 7) == 1


async def test_28_64_a_renewed_authority_is_taken_without_a_restart(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    server = start(new.issue("127.0.0.1"))
    async with opened(server.url, ca_file=old.path) as store:
        await fails(store, CALLS["load"], StoreCertificateInvalid)
        old.path.write_text("half a file")
        await fails(store, CALLS["load"], StoreCertificateInvalid)
        assert "stay" in caplog.text
        old.path.write_bytes(new.path.read_bytes())
        assert await write(store, 7) == 1


async def test_28_65_a_redis_without_tls_is_named(own_redis: RedisServer) -> None:
    """It waits for more of what is no command to it."""
    async with opened(own_redis.url.replace("redis:", "rediss:")) as store:
        assert "Timeout connecting" in await fails(store, CALLS["load"], StoreTimeout)


async def test_28_66_a_redis_with_tls_is_not_reached_without_it(start: Start, authority: Authority) -> None:
    server = start(authority.issue("127.0.0.1"))
    async with opened(server.url.replace("rediss:", "redis:")) as store:
        await fails(store, CALLS["load"], StoreUnreachable)


async def test_28_67_a_redis_that_asks_for_our_certificate_gets_it(
    start: Start, authority: Authority
) -> None:
    server = start(authority.issue("127.0.0.1"))
    await server.ask("CONFIG", "SET", "tls-auth-clients", "yes")
    async with opened(server.url, ca_file=authority.path) as store:
        # With TLS 1.3 the refusal comes after the handshake, and may be overtaken by the connection's end.
        text = (await fails(store, CALLS["load"], (StoreDenied, StoreUnreachable))).lower()
        assert "certificate" in text or "connection" in text
    ours = authority.issue("chat")
    url = f"{server.url}?ssl_certfile={ours.certificate}&ssl_keyfile={ours.key}"
    async with opened(url, ca_file=authority.path) as store:
        assert await write(store, 7) == 1


async def test_28_68_a_silent_redis_holds_up_no_end(start: Start, authority: Authority) -> None:
    """It does not answer TLS' goodbye."""
    server = start(authority.issue("127.0.0.1"))
    async with opened(server.url, ca_file=authority.path) as store:
        await asyncio.gather(*(write(store, n, id_=f"s{n}") for n in range(10)))
        server.pause()
        async with asyncio.timeout(2 * IO_TIMEOUT):
            await store.aclose()


async def test_28_69_a_store_that_is_closed_while_calls_connect_leaves_nothing_open(
    start: Start, authority: Authority
) -> None:
    server = start(authority.issue("127.0.0.1"))
    async with TcpProxy(server.port).running() as proxy:
        proxy.delay = 0.1
        url = proxy.url.replace("redis:", "rediss:")
        async with opened(url, ca_file=authority.path) as store:
            loads = [asyncio.create_task(store.load(f"s{n}")) for n in range(10)]
            await asyncio.sleep(0.05)  # they shake hands
        await asyncio.gather(*loads, return_exceptions=True)

        async def is_alone() -> bool:
            return len(await server.ask("CLIENT LIST")) == 1

        await eventually(is_alone)
