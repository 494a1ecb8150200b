"""What does encryption at rest cost? `python -m benchmarks.sessions.encryption`, with a real Redis.

A turn of a conversation, one load and one save that appends two messages, on sessions of 2, 200 and 1,000
messages, plain and encrypted. Prints a table and one line of JSON.
"""

import json
import statistics
import time
from dataclasses import dataclass

from benchmarks.sessions.in_redis import compared, print_json
from fastersession import Append, Change, EncryptedStore, RedisStore, SessionStore, StoredSession

LENGTHS = (2, 200, 1_000)
MESSAGE = json.dumps({"id": "0123456789abcdef", "role": "assistant", "text": "such is the word " * 30})
NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Row:
    """Microseconds for one load and one save: the median over the runs, and their spread."""

    messages: int
    form: str
    microseconds: float
    fastest: float
    slowest: float


async def begin(store: SessionStore, id_: str, messages: int) -> None:
    record = StoredSession('{"n":1}', NOW, NOW, 3600.0)
    appends = {"j": Append(0, (MESSAGE,) * messages, messages)}
    await store.delete(id_)
    await store.save(id_, Change(0, NOW, record, ("j",), appends), ttl=3600)


async def turns(store: SessionStore, id_: str, rounds: int) -> float:
    """Microseconds of a turn, on the average of `rounds`. The journal keeps its length."""
    begun = time.perf_counter()
    for _ in range(rounds):
        record = await store.load(id_)
        assert record is not None
        tail = record.journals["j"]
        append = Append(tail.start + len(tail.entries), (MESSAGE, MESSAGE), len(tail.entries))
        await store.save(id_, Change(record.version, NOW, None, appends={"j": append}), ttl=3600)
    return (time.perf_counter() - begun) / rounds * 1e6


async def compare(url: str, password: str, runs: int, rounds: int) -> list[Row]:
    plain = RedisStore.from_url(url, password=password)
    stores: dict[str, SessionStore] = {
        "plain": plain,
        "encrypted": EncryptedStore(plain, "a-key-for-this-benchmark"),
    }
    rows = []
    for messages in LENGTHS:
        taken: dict[str, list[float]] = {form: [] for form in stores}
        for form, store in stores.items():
            await begin(store, form, messages)
        for _ in range(runs):
            for form, store in stores.items():
                taken[form].append(await turns(store, form, rounds))
        for form, times in taken.items():
            median, fastest, slowest = (round(f(times), 1) for f in (statistics.median, min, max))
            rows.append(Row(messages, form, median, fastest, slowest))
    await plain.aclose()
    return rows


def main() -> None:
    rows = compared(compare, description=__doc__, rounds=100, what="turns")
    print("messages form       median us       min       max")
    for row in rows:
        print(f"{row.messages:>8} {row.form:<9} {row.microseconds:>10} {row.fastest:>9} {row.slowest:>9}")
    print_json(rows)


if __name__ == "__main__":
    main()
