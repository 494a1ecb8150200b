"""A suite of tests for any SessionStore: subclass `StoreConformance`, say how to make the store, run pytest.

    class TestMyStore(StoreConformance):
        async def make_store(self) -> SessionStore:
            return MyStore(...)

Its tests are coroutines: they run with pytest-asyncio in its mode "auto" and with anyio's plugin (on
asyncio). With `make_twin` they use two store objects on the same data, as two processes have; with `let_pass`
a store that is given its clock needs no waiting. They import no pytest and are plain asserts, each with what
the contract asks for.
"""

from fastersession.testing.copies import Copies
from fastersession.testing.heads import Heads
from fastersession.testing.journals import Journals
from fastersession.testing.leases import Leases
from fastersession.testing.lifetimes import Lifetimes
from fastersession.testing.races import Races
from fastersession.testing.repeats import Repeats
from fastersession.testing.windows import Windows

__all__ = ["StoreConformance"]


class StoreConformance(Heads, Journals, Windows, Leases, Lifetimes, Copies, Repeats, Races):
    """Everything that SessionStore promises. The hooks are those of `fastersession.testing.base.Hooks`."""
