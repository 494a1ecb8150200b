"""A script that Redis keeps by its hash: sent whole only where the server does not know it (any more)."""

import hashlib
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from redis.exceptions import NoScriptError

Argument = str | bytes | int | float


class ScriptClient(Protocol):
    """What a script needs of a client, which may be one of a single Redis or of a cluster."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Argument) -> Awaitable[Any]: ...
    def eval(self, script: str, numkeys: int, *keys_and_args: Argument) -> Awaitable[Any]: ...


class RedisScript:
    """Callable any number of times. All keys of one call must lie in one slot of a cluster.

    A server that was restarted, a promoted replica and another node of a cluster may not know the script:
    nothing was done then, and it is sent whole, once for each of them.
    """

    def __init__(self, client: ScriptClient, source: str) -> None:
        self._client = client
        self._source = source
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()  # Redis' own choice

    async def __call__(self, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:  # noqa: ANN401
        """The answer of one run, of whatever type the script gives. Raises what the client raises."""
        try:
            return await self._client.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self._client.eval(self._source, len(keys), *keys, *args)
