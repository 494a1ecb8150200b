"""A Redis cluster of three masters, the first of which has a replica, all real."""

from pathlib import Path

from redis.crc import key_slot

from tests.fastersession.redis_server import PASSWORD, RedisServer, TlsPaths, free_port
from tests.fastersession.spy import eventually

_SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))


class Cluster:
    """Each of `masters` serves a third of the slots; `replica` is the first's."""

    def __init__(self, folder: Path, *, with_replica: bool = False, tls: TlsPaths | None = None) -> None:
        self._buses: dict[RedisServer, int] = {}
        self._tls = tls
        self.masters = [self._node(folder / f"master-{n}") for n in range(3)]
        self.replica = self._node(folder / "replica") if with_replica else None
        hosts = ",".join(node.address for node in self.masters)
        self.url = f"{'redis' if tls is None else 'rediss'}+cluster://:{PASSWORD}@{hosts}"

    def _node(self, folder: Path) -> RedisServer:
        folder.mkdir()
        bus = free_port()
        settings = [
            f"cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 500",
            "cluster-require-full-coverage no\ncluster-allow-replica-migration no",
            f"masterauth {PASSWORD}\nrepl-diskless-sync-delay 0",
            *([] if self._tls is None else ["tls-cluster yes"]),
        ]
        node = RedisServer(folder, *settings, tls=self._tls)
        self._buses[node] = bus
        return node

    async def start(self) -> None:
        """Start the nodes and wait until they serve every slot."""
        for epoch, node in enumerate(self._buses, start=1):
            node.start()
            await node.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        first = self.masters[0]
        for node in list(self._buses)[1:]:
            await first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, self._buses[node])
        for node, (begin, end) in zip(self.masters, _SLOTS, strict=True):
            await node.ask("CLUSTER", "ADDSLOTSRANGE", begin, end)
        await self.whole()
        if self.replica is not None:
            await self.replica.ask("CLUSTER", "REPLICATE", await self.name_of(first))
            await eventually(self._has_replica, seconds=15)

    async def whole(self) -> None:
        """Have every node run, and wait until all agree that every slot is served."""
        for node in self._buses:
            node.revive()  # a test that failed may have left it frozen
        await eventually(self._is_whole, seconds=15)

    async def empty(self) -> None:
        """Forget every session."""
        for node in self.masters:
            await node.ask("FLUSHALL")

    def kill(self) -> None:
        """End every node."""
        for node in self._buses:
            node.kill()

    async def _is_whole(self) -> bool:
        known = f"cluster_known_nodes:{len(self._buses)}\r".encode()
        expected = (b"cluster_state:ok\r", b"cluster_slots_ok:16384\r", known)
        infos: list[bytes] = [await node.ask("CLUSTER", "INFO") for node in self._buses]
        return all(line in info for info in infos for line in expected)

    async def _has_replica(self) -> bool:
        assert self.replica is not None
        found = await self.replica.ask("INFO", "replication")
        seen = await self.masters[1].ask("CLUSTER", "REPLICAS", await self.name_of(self.masters[0]))
        return bool(found.get("master_link_status") == "up" and seen)

    async def name_of(self, node: RedisServer) -> str:
        """Its id in the cluster."""
        name: bytes | str = await node.ask("CLUSTER", "MYID")
        return name.decode() if isinstance(name, bytes) else name


def slot_of(session_id: str) -> int:
    """Where a session lies."""
    return int(key_slot(session_id.encode()))  # of what is in the key's braces


def id_on(master: int) -> str:
    """A session's id that lies on the given one of the masters."""
    begin, end = _SLOTS[master]
    return next(id_ for n in range(1000) if begin <= slot_of(id_ := f"s{n}") <= end)
