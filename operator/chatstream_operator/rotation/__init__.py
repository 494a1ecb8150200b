"""How the keys in a ChatStream's Secret are changed while pods use them. All pure; reconcile.rotator acts.

A rotation has three phases. In each, whatever the pods have read so far, what one of them signs (or encrypts)
every other one accepts:

1. adding: a fresh key stands behind the others. It is accepted, but signs nothing.
2. switching: once every pod that runs has read it, it goes to the front. Pods that have not read that yet
   sign with the old one, which stays in the list.
3. settled: once every pod signs with it, the others are idle. Each goes when nothing that it has signed can
   still be valid.
"""

from chatstream_operator.rotation.keys import InvalidKeys, Ring, fingerprint, read_ring, write_ring
from chatstream_operator.rotation.state import Keys, State
from chatstream_operator.rotation.steps import (
    ABSOLUTE_TIMEOUT,
    DWELL,
    MOST_KEYS,
    Report,
    Step,
    advance,
    find_full_rings,
    find_holdouts,
    needs_reports,
)

__all__ = [
    "ABSOLUTE_TIMEOUT",
    "DWELL",
    "MOST_KEYS",
    "InvalidKeys",
    "Keys",
    "Report",
    "Ring",
    "State",
    "Step",
    "advance",
    "find_full_rings",
    "find_holdouts",
    "fingerprint",
    "needs_reports",
    "read_ring",
    "write_ring",
]
