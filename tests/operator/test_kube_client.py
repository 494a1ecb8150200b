"""The real client against a small server: paths, pages, failures and time limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from chatstream_operator.errors import Conflict, Gone, Internal, KubeError, NotFound, Refused, Unavailable
from chatstream_operator.handlers.web import serve
from chatstream_operator.kube.client import KubeClient
from chatstream_operator.kube.kinds import CHATSTREAM, POD, SERVICE
from tests.operator.samples import children, raw_chatstream

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def talking(handler: Handler, request_timeout: float = 10.0) -> AsyncIterator[KubeClient]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serve(app, 0, "127.0.0.1") as port:
        configuration = client.Configuration(host=f"http://127.0.0.1:{port}")
        kube = KubeClient(configuration, request_timeout=request_timeout, watch_timeout=60)
        async with aclosing(kube):
            yield kube


class Script:
    """Answers with the same JSON, and remembers what was asked."""

    def __init__(self, *answers: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:  # noqa: ANN401
        self.answers = list(answers)
        self.status = status
        self.headers = headers
        self.requests: list[tuple[str, str, dict[str, str], str, str]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        body = await request.text()
        kind = request.headers.get("Content-Type", "")
        self.requests.append((request.method, request.path, dict(request.query), kind, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(answer, status=self.status, headers=self.headers)


def listing(*names: str, more: str = "") -> dict[str, Any]:
    items = [{"metadata": {"name": name}} for name in names]
    return {"metadata": {"resourceVersion": "9", "continue": more}, "items": items}


async def test_an_object_is_asked_for_by_its_path() -> None:
    script = Script({"kind": "ChatStream"})
    async with talking(script) as kube:
        assert await kube.get(CHATSTREAM, "team", "demo") == {"kind": "ChatStream"}
    path = "/apis/chatstream.dev/v1alpha1/namespaces/team/chatstreams/demo"
    assert script.requests[0][:2] == ("GET", path)


async def test_a_list_is_read_page_by_page() -> None:
    script = Script(listing("a", more="next"), listing("b"))
    async with talking(script) as kube:
        found = await kube.list(POD, selector="a=b")
    assert [item["metadata"]["name"] for item in found.items] == ["a", "b"]
    assert {(item["apiVersion"], item["kind"]) for item in found.items} == {("v1", "Pod")}
    assert found.resource_version == "9"
    queries = [request[2] for request in script.requests]
    assert queries == [
        {"limit": "500", "labelSelector": "a=b"},
        {"limit": "500", "labelSelector": "a=b", "continue": "next"},
    ]


async def test_apply_is_server_side_and_takes_over() -> None:
    script, service = Script({}), children()["Service/demo"]
    async with talking(script) as kube:
        await kube.apply(service)
        await kube.apply_status(raw_chatstream())
    method, path, query, kind, body = script.requests[0]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/team/services/demo")
    assert query == {"fieldManager": "chatstream-operator", "force": "true"}
    assert kind.startswith("application/apply-patch+yaml")
    assert json.loads(body) == service
    assert script.requests[1][1].endswith("/chatstreams/demo/status")


async def test_a_json_patch_says_so() -> None:
    script = Script({})
    operations = [{"op": "remove", "path": "/data/x"}]
    async with talking(script) as kube:
        await kube.patch(SERVICE, "team", "demo", operations)
    assert script.requests[0][3].startswith("application/json-patch+json")
    assert json.loads(script.requests[0][4]) == operations


async def test_a_delete_is_of_that_very_object() -> None:
    script = Script({})
    async with talking(script) as kube:
        await kube.delete(SERVICE, "team", "demo", uid="u")
    body = json.loads(script.requests[0][4])
    assert body == {"preconditions": {"uid": "u"}, "propagationPolicy": "Background"}


async def test_a_delete_of_what_is_gone_is_no_error() -> None:
    async with talking(Script({"message": "not found"}, status=404)) as kube:
        await kube.delete(SERVICE, "team", "demo", uid="u")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, Refused),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (422, Refused),
        (429, Unavailable),
        (500, Internal),
        (503, Unavailable),
    ],
)
async def test_failures_are_told_apart_in_the_servers_words(status: int, error: type[KubeError]) -> None:
    async with talking(Script({"message": "the words"}, status=status)) as kube:
        with pytest.raises(error, match="the words") as caught:
            await kube.get(SERVICE, "team", "demo")
    assert caught.value.status == status


async def test_a_failure_need_not_be_json() -> None:
    async def text(_: web.Request) -> web.Response:
        return web.Response(text="plain words", status=500)

    async with talking(text) as kube:
        with pytest.raises(Unavailable, match="plain words"):
            await kube.get(SERVICE, "team", "demo")


async def test_the_servers_own_pause_is_kept() -> None:
    script = Script({"message": "slow down"}, status=429, headers={"Retry-After": "7"})
    async with talking(script) as kube:
        with pytest.raises(Unavailable) as caught:
            await kube.get(SERVICE, "team", "demo")
    assert caught.value.retry_after == 7.0


async def test_a_server_that_hangs_is_waited_for_in_bounds() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with talking(hang, request_timeout=0.2) as kube:
        with pytest.raises(Unavailable, match="no answer"):
            await kube.get(SERVICE, "team", "demo")


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    configuration = client.Configuration(host="http://127.0.0.1:1")
    async with aclosing(KubeClient(configuration, request_timeout=5, watch_timeout=5)) as kube:
        with pytest.raises(Unavailable):
            await kube.get(SERVICE, "team", "demo")
        with pytest.raises(Unavailable):
            await anext(kube.watch(SERVICE, resource_version="1"))


def streaming(*lines: bytes) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.query["allowWatchBookmarks"] == "true"
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        return response

    return handler


def event(kind: str, **obj: Any) -> bytes:  # noqa: ANN401
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


async def test_a_watch_gives_events_and_ends_when_the_server_ends_it() -> None:
    big = "x" * 300_000
    lines = (event("ADDED", a=1)[:10], event("ADDED", a=1)[10:], event("BOOKMARK"), event("DELETED", big=big))
    async with talking(streaming(*lines)) as kube:
        seen = [one async for one in kube.watch(SERVICE, resource_version="1")]
    assert [one.type for one in seen] == ["ADDED", "BOOKMARK", "DELETED"]
    assert seen[2].object == {"big": big}


async def test_a_watch_with_an_endless_line_is_lost() -> None:
    async with talking(streaming(b"x" * 5_000_000)) as kube:
        with pytest.raises(Unavailable, match="watch of services was lost"):
            await anext(kube.watch(SERVICE, resource_version="1"))


async def test_a_watch_that_is_too_old_says_so() -> None:
    handler = streaming(event("ERROR", code=410, message="too old"))
    async with talking(handler) as kube:
        with pytest.raises(Gone, match="too old"):
            await anext(kube.watch(SERVICE, resource_version="1"))


async def test_a_watch_that_sends_garbage_is_lost() -> None:
    async with talking(streaming(b"garbage\n")) as kube:
        with pytest.raises(Unavailable, match="no event"):
            await anext(kube.watch(SERVICE, resource_version="1"))
