"""What is measured: which servers, which paths of theirs, and what their last answers must have said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.sessions.conversation import WINDOW, characters, messages

SIZES = (2, 200, 2_000)
OURS, PEER, FLOOR = "fastersession, Redis", "starsessions, Redis", "no session, bare GET and SET"
USED = "fastersession, Redis, every message used"
NONE, MEMORY, COOKIE = "no session", "fastersession, memory", "Starlette's cookie session"


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One uvicorn process. `peer`: it runs in the peers' environment."""

    app: str
    factory: bool = False
    peer: bool = False


SERVERS = {
    "bare": ServerSpec("benchmarks.sessions.bare:app"),
    "memory": ServerSpec("benchmarks.sessions.visits:in_memory", factory=True),
    "redis": ServerSpec("benchmarks.sessions.visits:in_redis", factory=True),
    "cookie": ServerSpec("benchmarks.sessions.visits:in_cookie", factory=True),
    "turns": ServerSpec("benchmarks.sessions.turns:app"),
    "starsessions": ServerSpec("benchmarks.peers.starsessions_app:app", peer=True),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `messages`: how many a conversation has; 0: the trivial endpoint.

    `answers(requests)` is what a client's last answer must hold after so many: else sessions were lost.
    """

    name: str
    messages: int
    server: str
    path: str
    setup: str
    answers: Callable[[int], dict[str, int]]


def cases(with_peers: bool) -> list[Case]:
    """All of them, in the order of the table."""
    found = [
        Case(NONE, 0, "bare", "/visits", "", lambda _: {"visits": 1}),
        Case(MEMORY, 0, "memory", "/visits", "", _visits),
        Case(COOKIE, 0, "cookie", "/visits", "", _visits),
        Case(FLOOR, 0, "bare", *_floor(100, 100)),
        Case(OURS, 0, "redis", "/visits", "", _visits),
        Case(PEER, 0, "starsessions", "/visits", "", _visits),
    ]
    for size in SIZES:
        read, written = _bytes(min(size, WINDOW)), _bytes(2)
        found += [
            Case(FLOOR, size, "bare", *_floor(read, written)),
            Case(OURS, size, "turns", "/turn", f"/begin?messages={size}", _turns(size)),
            Case(USED, size, "turns", "/used", f"/begin?messages={size}", _used_turns(size)),
            Case(PEER, size, "starsessions", "/turn", f"/begin?messages={size}", _turns(size)),
        ]
    return [case for case in found if with_peers or not SERVERS[case.server].peer]


def is_right(case: Case, requests: int, body: str) -> bool:
    """Whether a client's last answer is the one that it must be after so many requests."""
    said: dict[str, int] = json.loads(body)
    return case.answers(requests).items() <= said.items()


def _visits(requests: int) -> dict[str, int]:
    return {"visits": requests}


def _turns(size: int) -> Callable[[int], dict[str, int]]:
    return lambda requests: {"read": min(size, WINDOW), "last": size - 1 + 2 * requests}


def _used_turns(size: int) -> Callable[[int], dict[str, int]]:
    read = characters(messages(min(size, WINDOW)))
    return lambda requests: {"read": read, "last": size - 1 + 2 * requests}


def _floor(read: int, written: int) -> tuple[str, str, Callable[[int], dict[str, int]]]:
    return f"/turn?read={read}&write={written}", f"/begin?read={read}", lambda _: {"read": read}


def _bytes(count: int) -> int:
    return len(json.dumps(messages(count)))
