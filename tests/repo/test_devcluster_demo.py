"""The demo, the way to it, and what the user sees meanwhile."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from devcluster import demo, forwarder, network, pki
from devcluster.chat import print_events, read_events
from devcluster.errors import DevclusterError
from devcluster.progress import Progress, Step, describe_rest

Json = dict[str, Any]


def test_the_forwarder_looks_the_service_up_and_buffers_nothing() -> None:
    leaf = pki.pair(Path("/p"), "l")
    text = forwarder.build_config(Path("/n"), leaf, port=8443, service="demo.default", ipv6=True)
    for line in (
        "listen 127.0.0.1:8443 ssl;",
        "listen [::1]:8443 ssl;",
        "resolver 10.96.0.10 valid=2s ipv6=off;",
        "set $upstream http://demo.default.svc.cluster.local;",
        "proxy_set_header X-Forwarded-Proto https;",
        "proxy_buffering off;",
    ):
        assert line in text
    assert "[::1]" not in forwarder.build_config(Path("/n"), leaf, port=1, service="d.e", ipv6=False)


def chatstream(status: str, observed: int) -> Json:
    ready = {"type": "Ready", "status": status, "reason": "R", "message": "m", "observedGeneration": observed}
    return {"metadata": {"generation": 2}, "status": {"conditions": [ready]}}


def deployment(**counts: int) -> Json:
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, **counts}
    template = {"spec": {"containers": [{"image": "new"}]}}
    return {"metadata": {"generation": 1}, "spec": {"replicas": 1, "template": template}, "status": status}


@pytest.mark.parametrize(
    ("resource", "pods", "image", "ready"),
    [
        (chatstream("True", 2), deployment(), "new", True),
        (chatstream("True", 1), deployment(), "new", False),
        (chatstream("False", 2), deployment(), "new", False),
        (chatstream("True", 2), deployment(), "newer", False),
        (chatstream("True", 2), deployment(replicas=2), "new", False),
        (chatstream("True", 2), deployment(observedGeneration=0), "new", False),
        ({}, {}, "new", False),
    ],
)
def test_ready_is_of_this_generation_and_image(resource: Json, pods: Json, image: str, ready: bool) -> None:
    found, said = demo.readiness(resource, pods, image)
    assert found is ready
    assert said.startswith("R: m" if resource else "no condition yet")


def test_a_turn_is_read_event_by_event() -> None:
    stream = io.BytesIO(
        b': keep-alive\n\nevent: queued\ndata: {"position":1}\n\ndata: {"delta":"a\\n"}\n\n'
        b'data:{"delta":"b"}\r\n\r\nevent: done\ndata: {}\n\n'
    )
    out = io.StringIO()
    assert print_events(read_events(stream.readline), out) == "done"
    assert out.getvalue().split() == ["a", "b"]


def test_an_error_event_is_told_with_its_data() -> None:
    stream = io.BytesIO(b'event: error\ndata: {"code":"x"}\n\n')
    assert print_events(read_events(stream.readline), io.StringIO()) == 'error {"code":"x"}'


def clock(*moments: float) -> Callable[[], float]:
    left = iter(moments)
    return lambda: next(left)


def test_each_step_says_what_it_did_and_how_long_it_took() -> None:
    out = io.StringIO()
    steps = [Step("a", lambda: "built", cold_seconds=100), Step("b", lambda: "running")]
    Progress(out, clock(0.0, 1.5, 2.0, 2.25)).run(steps)
    assert out.getvalue() == "[1/2] a ... (about 2 min to go) built, 1.5 s\n[2/2] b ... running, 0.2 s\n"


def test_a_step_that_fails_closes_its_line() -> None:
    def act() -> str:
        raise DevclusterError("no")

    out = io.StringIO()
    with pytest.raises(DevclusterError, match="no"):
        Progress(out, clock(0.0, 3.0)).run([Step("a", act), Step("b", lambda: "never")])
    assert out.getvalue() == "[1/2] a ... failed after 3.0 s\n"


def test_short_rests_are_not_told() -> None:
    assert describe_rest(19) == ""
    assert describe_rest(190) == " (about 3 min to go)"


def test_cni_is_told_where_its_leases_lie() -> None:
    plugin: Mapping[str, Any] = json.loads(network.build_cni(Path("/state/cni")))["plugins"][0]
    assert plugin["ipam"]["dataDir"] == "/state/cni"
    assert plugin["hairpinMode"] is True
