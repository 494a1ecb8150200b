"""The tests' own clock."""

import asyncio

import pytest

from tests.server.support.virtual import now, run_virtual


def test_time_jumps_to_the_next_timer() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return now()

    assert run_virtual(main()) == pytest.approx(3600)


def test_timers_keep_their_order() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def note(after: float, name: str) -> None:
            await asyncio.sleep(after)
            seen.append(name)

        await asyncio.gather(note(2, "b"), note(1, "a"), note(3, "c"))
        return seen

    assert run_virtual(main()) == ["a", "b", "c"]


def test_a_thread_is_waited_for() -> None:
    async def main() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert run_virtual(main()) == 7
