"""Would compressing what a store keeps pay? `python -m benchmarks.sessions.compression`, with a real Redis.

Saves a value of chat messages in Redis and loads it again, as it is and through zlib's level 1
(the fastest that the standard library has), and prints a table and one line of JSON.
"""

import json
import random
import statistics
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from benchmarks.sessions.in_redis import compared, print_json

DOCS = Path(__file__).parents[2] / "docs"
SIZES = (256, 1024, 4096, 16384, 65536)
Codec = tuple[Callable[[str], bytes], Callable[[bytes], str]]
CODECS: dict[str, Codec] = {
    "plain": (str.encode, bytes.decode),
    "zlib-1": (lambda text: zlib.compress(text.encode(), 1), lambda data: zlib.decompress(data).decode()),
}


@dataclass(frozen=True)
class Row:
    """One size in one form. Times: a save and a load together, medians over the runs and their spread."""

    bytes: int
    form: str
    stored_bytes: int
    microseconds: float
    fastest: float
    slowest: float
    pays_below_megabytes_per_second: float | None = None


def conversation(size: int, seed: int = 4) -> str:
    """JSON text of about `size` bytes: messages in the words of this repository's own documents."""
    words = " ".join(path.read_text() for path in sorted(DOCS.glob("*.md"))).split()
    source, messages, length = random.Random(seed), list[dict[str, str]](), 2
    while length < size:
        start = source.randrange(len(words))
        role, count = ("user", 25) if len(messages) % 2 == 0 else ("assistant", 180)
        text = " ".join(words[start : start + count])[: max(1, size - length - 64)]
        messages.append({"id": f"{source.getrandbits(64):016x}", "role": role, "text": text})
        length += len(json.dumps(messages[-1])) + 1
    return json.dumps(messages, separators=(",", ":"))


async def measure(client: Redis, text: str, codec: Codec, rounds: int) -> float:
    """Microseconds that one save and one load take, on the average of `rounds`."""
    encode, decode = codec
    begin = time.perf_counter()
    for _ in range(rounds):
        await client.set("value", encode(text))
        answer = await client.get("value")
        assert isinstance(answer, bytes)
        found = decode(answer)
    elapsed = time.perf_counter() - begin
    assert found == text
    return elapsed / rounds * 1e6


async def compare(url: str, password: str, runs: int, rounds: int) -> list[Row]:
    client, rows = Redis.from_url(url, password=password), []
    async with client:
        for text in map(conversation, SIZES):
            taken: dict[str, list[float]] = {name: [] for name in CODECS}
            for _ in range(runs):  # in turn, so that a busy moment of the machine meets both forms
                for name, codec in CODECS.items():
                    taken[name].append(await measure(client, text, codec, rounds))
            rows += summary(text, taken)
    return rows


def summary(text: str, taken: dict[str, list[float]]) -> list[Row]:
    rows = list[Row]()
    for name, times in taken.items():
        median, stored = statistics.median(times), len(CODECS[name][0](text))
        pays = None
        if rows and median > rows[0].microseconds:
            # Both ways it sends fewer bytes and takes longer: the speed of a network at which that is even.
            pays = round(2 * (rows[0].stored_bytes - stored) / (median - rows[0].microseconds), 1)
        figures = (round(median, 1), round(min(times), 1), round(max(times), 1))
        rows.append(Row(len(text.encode()), name, stored, *figures, pays))
    return rows


def main() -> None:
    rows = compared(compare, description=__doc__, rounds=300, what="saves and loads")
    print("  bytes form    in Redis  median us       min       max  pays below MB/s")
    for row in rows:
        pays = "" if row.pays_below_megabytes_per_second is None else row.pays_below_megabytes_per_second
        times = f"{row.microseconds:>10} {row.fastest:>9} {row.slowest:>9}"
        print(f"{row.bytes:>7} {row.form:<7} {row.stored_bytes:>8} {times}  {pays}")
    print_json(rows)


if __name__ == "__main__":
    main()
