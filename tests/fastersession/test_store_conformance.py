"""What every store promises: the same tests for memory and for Redis."""

import asyncio

import pytest

from fastersession import Lease, LeaseHeld, VersionConflict
from tests.fastersession.stores import START, StoreUnderTest, written

A, B = Lease("owner-a", 30), Lease("owner-b", 30)


async def test_25a_what_was_saved_is_loaded(under_test: StoreUnderTest) -> None:
    store = under_test.store
    version = await store.save("s", written(0, '{"text":"grüße 👋"}'), ttl=60)
    loaded = await store.load("s")
    assert loaded is not None
    assert (version, loaded.version) == (1, 1)
    assert (loaded.created_at, loaded.last_accessed_at, loaded.max_inactive_interval) == (START, START, 3600)
    assert await store.load("other") is None


async def test_25b_versions_count_the_writes(under_test: StoreUnderTest) -> None:
    store = under_test.store
    versions = [await store.save("s", written(n, f'{{"n":{n}}}'), ttl=60) for n in range(3)]
    loaded = await store.load("s")
    assert loaded is not None
    assert (versions, loaded.version, loaded.attributes) == ([1, 2, 3], 3, '{"n":2}')


@pytest.mark.parametrize("expected", [0, 2])
async def test_25c_a_write_upon_another_version_is_a_conflict(
    under_test: StoreUnderTest, expected: int
) -> None:
    store = under_test.store
    await store.save("s", written(0, '{"kept":1}'), ttl=60)
    with pytest.raises(VersionConflict):
        await store.save("s", written(expected, '{"lost":1}'), ttl=60)
    loaded = await store.load("s")
    assert loaded is not None
    assert loaded.attributes == '{"kept":1}'


async def test_25d_what_was_deleted_meanwhile_does_not_come_back(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=60)
    await store.delete("s")
    with pytest.raises(VersionConflict):
        await store.save("s", written(1), ttl=60)
    assert await store.load("s") is None


async def test_25e_of_concurrent_writes_exactly_one_wins(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=60)
    saves = [store.save("s", written(1, f'{{"n":{n}}}'), ttl=60) for n in range(20)]
    results = await asyncio.gather(*saves, return_exceptions=True)
    winners = [n for n, result in enumerate(results) if result == 2]
    assert len(winners) == 1
    assert sum(isinstance(result, VersionConflict) for result in results) == 19
    loaded = await store.load("s")
    assert loaded is not None
    assert loaded.attributes == f'{{"n":{winners[0]}}}'


async def test_25f_delete_can_insist_on_a_version(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=60)
    with pytest.raises(VersionConflict):
        await store.delete("s", expected_version=2)
    await store.delete("s", expected_version=1)
    with pytest.raises(VersionConflict):
        await store.delete("s", expected_version=1)
    await store.delete("s")  # gone is gone


async def test_27a_records_end_after_their_time(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=60)
    await under_test.elapse(55)
    assert await store.load("s") is not None
    await under_test.elapse(10)
    assert await store.load("s") is None


async def test_27b_a_touch_slides_the_end_and_tells_the_time(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=60)
    await under_test.elapse(50)
    await store.touch("s", ttl=60, accessed_at=START + 50)
    await under_test.elapse(50)
    loaded = await store.load("s")
    assert loaded is not None
    assert (loaded.last_accessed_at, loaded.version) == (START + 50, 1)


async def test_27c_a_touch_makes_no_record(under_test: StoreUnderTest) -> None:
    await under_test.store.touch("s", ttl=60, accessed_at=START)
    assert await under_test.store.load("s") is None


async def test_17a_two_owners_never_both_hold_a_lease(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=60)
    await store.load("s", lease=A)
    with pytest.raises(LeaseHeld) as held:
        await store.load("s", lease=B)
    assert 25 < held.value.retry_after <= 30


async def test_17b_a_lease_needs_no_record(under_test: StoreUnderTest) -> None:
    store = under_test.store
    assert await store.load("s", lease=A) is None
    with pytest.raises(LeaseHeld):
        await store.load("s", lease=B)


async def test_17c_reading_without_a_lease_is_always_allowed(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=60)
    await store.load("s", lease=A)
    assert await store.load("s") is not None


async def test_17d_the_save_gives_the_lease_back(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.load("s", lease=A)
    await store.save("s", written(0), ttl=60, release=A.owner)
    assert await store.load("s", lease=B) is not None


async def test_17e_a_save_without_release_keeps_the_lease(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.load("s", lease=A)
    await store.save("s", written(0), ttl=60)
    with pytest.raises(LeaseHeld):
        await store.load("s", lease=B)


async def test_17f_release_frees_only_ones_own(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.load("s", lease=A)
    await store.release("s", B.owner)
    with pytest.raises(LeaseHeld):
        await store.load("s", lease=B)
    await store.release("s", A.owner)
    await store.release("s", A.owner)
    await store.load("s", lease=B)


async def test_17g_a_lease_ends_by_itself(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.load("s", lease=A)
    await under_test.elapse(31)
    await store.load("s", lease=B)


async def test_17h_its_owner_can_renew_it(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.load("s", lease=A)
    await under_test.elapse(20)
    await store.load("s", lease=A)
    await under_test.elapse(20)
    with pytest.raises(LeaseHeld):
        await store.load("s", lease=B)


async def test_17i_who_lost_the_lease_to_another_cannot_save(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.load("s", lease=A)
    await under_test.elapse(31)
    await store.load("s", lease=B)
    with pytest.raises(VersionConflict):
        await store.save("s", written(0, '{"late":1}'), ttl=60, release=A.owner)
    await store.save("s", written(0, '{"in":"time"}'), ttl=60, release=B.owner)


async def test_17j_whose_lease_ran_out_can_save_while_nobody_took_it(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.load("s", lease=A)
    await under_test.elapse(31)
    assert await store.save("s", written(0), ttl=60, release=A.owner) == 1


async def test_17k_a_leased_record_outlives_its_idle_time(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=10)
    await store.load("s", lease=A)
    await under_test.elapse(25)
    assert await store.save("s", written(1), ttl=10, release=A.owner) == 2


async def test_17l_deleting_the_record_leaves_the_lease(under_test: StoreUnderTest) -> None:
    store = under_test.store
    await store.save("s", written(0), ttl=60)
    await store.load("s", lease=A)
    await store.delete("s")
    with pytest.raises(LeaseHeld):
        await store.load("s", lease=B)


async def test_17m_of_many_at_once_one_gets_the_lease(under_test: StoreUnderTest) -> None:
    loads = [under_test.store.load("s", lease=Lease(f"owner-{n}", 30)) for n in range(20)]
    results = await asyncio.gather(*loads, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, LeaseHeld) for result in results) == 19


async def test_28a_ping_answers(under_test: StoreUnderTest) -> None:
    await under_test.store.ping()
