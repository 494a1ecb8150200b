"""What `/status` says of the session keys: the operator's rotation reads it, and computes the same digits."""

import hashlib
import json
from pathlib import Path
from typing import Any

from chatstream.app import Service, build_service
from tests.server.support.apps import demo_settings
from tests.server.support.live import Browser, serving

FIRST, SECOND, SEALING = "the-first-key-of-16+", "the-second-key-of-16+", "the-sealing-key-of-16+"


async def sessions_of(service: Service) -> dict[str, Any]:
    async with serving(service.inner) as inner, Browser(inner) as operator:
        sessions = (await operator.get("/status"))[1]["sessions"]
    assert isinstance(sessions, dict)
    return sessions


def agreed(key: str) -> str:
    return hashlib.sha256(b"fastersession.key-fingerprint:" + key.encode()).hexdigest()[:8]


def test_the_agreed_fingerprint_in_digits() -> None:
    assert [agreed(FIRST), agreed(SECOND)] == ["e041dc25", "4e0347d4"]


async def test_26h_status_shows_the_keys_in_use_in_their_order_and_no_key(tmp_path: Path) -> None:
    keys, sealing = tmp_path / "session-keys", tmp_path / "encryption-keys"
    keys.write_text(json.dumps([FIRST, SECOND]))
    sealing.write_text(json.dumps([SEALING]))
    files = {"secret_keys_file": str(keys), "encryption_keys_file": str(sealing)}
    told = await sessions_of(build_service(demo_settings(sessions=files)))
    assert told == {
        "store": "memory",
        "reachable": True,
        "error": None,
        "keys": [agreed(FIRST), agreed(SECOND)],
        "encryption_keys": [agreed(SEALING)],
    }
    assert "16+" not in json.dumps(told)


async def test_26i_without_encryption_there_are_none_of_its_keys() -> None:
    told = await sessions_of(build_service(demo_settings(sessions={"secret_keys": [FIRST]})))
    assert (told["keys"], told["encryption_keys"]) == ([agreed(FIRST)], [])
