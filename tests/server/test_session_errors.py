"""Each way in which a session store fails: what the client, the metric and the log are told."""

from typing import Any, ClassVar

import pytest

import fastersession
from chatstream.app import build_service
from chatstream.metrics import STORE_ERRORS
from chatstream.turns.session_access import reason_of
from fastersession import (
    InvalidSessionData,
    MemoryStore,
    SessionError,
    SessionNotLoaded,
    StoredSession,
    StoreUnavailable,
    VersionConflict,
)
from tests.server.support.apps import demo_settings
from tests.server.support.live import Browser, serving

NAMED = [
    kind
    for kind in vars(fastersession).values()
    if isinstance(kind, type) and issubclass(kind, StoreUnavailable)
]


def test_every_error_has_one_of_the_metrics_words() -> None:
    errors: list[SessionError] = [kind("") for kind in NAMED]
    errors += [VersionConflict(""), InvalidSessionData(""), SessionNotLoaded("")]
    assert {reason_of(error) for error in errors} == set(STORE_ERRORS)


class Failing(MemoryStore):
    """Fails at every load."""

    error: ClassVar[SessionError]

    async def load(self, *arguments: Any, **keywords: Any) -> StoredSession | None:  # noqa: ANN401 - unused
        raise self.error


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.__name__)
async def test_28m_whatever_the_store_fails_with_is_503_counted_and_logged_by_its_cause(
    kind: type[StoreUnavailable], caplog: pytest.LogCaptureFixture
) -> None:
    class Store(Failing):
        error = kind("Redis at redis.internal:6379: it is the cause")

    service = build_service(demo_settings(), store=Store())
    async with serving(service.public) as base, Browser(base) as browser:
        chat = await browser.send("hi")
        assert chat.status == 503
        assert await chat.json() == {
            "error": "session_store_unavailable",
            "detail": "The session store cannot be reached.",
        }
        assert int(chat.headers["retry-after"]) >= 1
        assert "set-cookie" not in chat.headers
    sample = service.chat_stream.metrics.registry.get_sample_value
    counted = {
        reason: sample("chatstream_session_store_errors_total", {"reason": reason}) for reason in STORE_ERRORS
    }
    assert counted == {reason: float(reason == kind.reason) for reason in STORE_ERRORS}
    [line] = [record for record in caplog.records if record.msg == "session not loaded"]
    assert vars(line)["error"] == "Redis at redis.internal:6379: it is the cause"
    assert vars(line)["reason"] == kind.reason
