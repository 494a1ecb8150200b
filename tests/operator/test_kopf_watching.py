"""kopf: what it is told, and what it tells us. It must put nothing on the objects."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from chatstream_operator.handlers.watching import (
    Patience,
    build_kopf_settings,
    build_registry,
    read_account,
)
from chatstream_operator.settings import OperatorSettings
from chatstream_operator.spec import Key


def test_it_watches_with_limits_and_in_peace() -> None:
    kopf = build_kopf_settings(OperatorSettings())
    assert (kopf.watching.server_timeout, kopf.watching.client_timeout) == (300, 330)
    # The API server refuses a fraction.
    assert isinstance(kopf.watching.server_timeout, int)
    assert kopf.networking.request_timeout == 30
    assert kopf.scanning.disabled
    assert not kopf.posting.enabled
    assert kopf.networking.enforce_retry_after
    assert kopf.queueing.worker_limit == 32


def test_it_never_gives_up_on_an_api_server_that_is_away() -> None:
    delays = list(itertools.islice(iter(Patience()), 100))
    assert all(0 < delay <= 15 for delay in delays)
    assert delays[0] < 1 < delays[-1]
    # Each request begins anew.
    assert next(iter(Patience())) < 1


def test_it_has_low_level_handlers_only_so_it_adds_no_finalizers() -> None:
    registry = build_registry(lambda _: None)
    assert len(list(registry._watching.get_all_handlers())) == 1
    for others in (registry._changing, registry._spawning):
        assert list(others.get_all_handlers()) == []


async def test_each_event_names_a_key() -> None:
    told: list[Key] = []
    (handler,) = build_registry(told.append)._watching.get_all_handlers()
    await handler.fn(namespace="team", name="demo")  # type: ignore[call-arg, misc]
    assert told == [Key("team", "demo")]


@pytest.mark.parametrize(("host", "server"), [("10.96.0.1", "10.96.0.1:443"), ("fd00::1", "[fd00::1]:443")])
def test_in_a_pod_it_uses_the_service_account_and_no_dns(tmp_path: Path, host: str, server: str) -> None:
    (tmp_path / "token").write_text("secret\n")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}
    account = read_account(environ, tmp_path)
    assert (account.server, account.token) == (f"https://{server}", "secret")
    assert account.ca_path == str(tmp_path / "ca.crt")
