"""A master, its replica and a sentinel that fails over between them, all real."""

import asyncio
from pathlib import Path

from tests.fastersession.redis_server import PASSWORD, RedisServer, TlsPaths
from tests.fastersession.spy import eventually

SERVICE = "main"


class SentinelGroup:
    """Use as a context manager. `pair`: the two servers, the master first as long as nothing failed over."""

    def __init__(self, folder: Path, *, tls: TlsPaths | None = None) -> None:
        common = [f"masterauth {PASSWORD}", "repl-diskless-sync-delay 0", "repl-timeout 5"]
        master = RedisServer(folder, *common, tls=tls)
        replica = RedisServer(folder, *common, f"replicaof 127.0.0.1 {master.port}", tls=tls)
        self.pair = (master, replica)
        self.sentinel = RedisServer(
            folder,
            f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} 1",
            f"sentinel auth-pass {SERVICE} {PASSWORD}",
            f"sentinel down-after-milliseconds {SERVICE} 300",
            f"sentinel failover-timeout {SERVICE} 2000",
            tls=tls,
            sentinel=True,
        )
        scheme = self.sentinel.url.partition(":")[0]
        self.url = f"{scheme}+sentinel://:{PASSWORD}@{self.sentinel.address}/{SERVICE}/0?sentinel_password={PASSWORD}"

    async def __aenter__(self) -> "SentinelGroup":
        try:
            await self._start()
        except BaseException:
            self._kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._kill()

    async def _start(self) -> None:
        for server in self.pair:
            server.start()

        async def has_replica() -> bool:
            found = await self.pair[0].ask("INFO", "replication")
            return bool(found["connected_slaves"] == 1 and found["slave0"]["state"] == "online")

        async def knows_replica() -> bool:
            return len(await self.sentinel.ask("SENTINEL REPLICAS", SERVICE)) == 1

        await eventually(has_replica, seconds=10)
        self.sentinel.start()
        await eventually(knows_replica, seconds=10)

    def _kill(self) -> None:
        for server in (self.sentinel, *self.pair):
            server.kill()

    async def replicated(self, server: RedisServer) -> None:
        """Wait until a server's replica has all that it was sent."""
        async with asyncio.timeout(5):
            while True:
                found = await server.ask("INFO", "replication")
                if found["slave0"]["offset"] == found["master_repl_offset"]:
                    return
                await asyncio.sleep(0.01)

    async def master_port(self) -> int:
        """Of the one that the sentinel names."""
        _, port = await self.sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(port)

    async def version(self, server: RedisServer, session_id: str = "s") -> int:
        """Of a session on one of the servers."""
        return int(await server.ask("HGET", f"chatstream:session:{{{session_id}}}", "version"))
