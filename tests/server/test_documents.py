"""The code of the documents, run as it stands (tests/server/data/documents.txt)."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.datastructures import FormData

from tests.server.support.apps import demo_chat_stream
from tests.server.support.live import Browser, Chat, serving, until

MIDDLEWARE, PLAIN, BODY_FIRST, CALLBACK = (
    (Path(__file__).parent / "data" / "documents.txt").read_text().strip().split("\n\n")
)


def build(*fragments: str) -> FastAPI:
    """An application out of the documents' code; only what a fragment leaves out is put around it."""
    app = FastAPI()
    chat_stream, _ = demo_chat_stream(template="plain")
    names: dict[str, Any] = {"app": app, "chat_stream": chat_stream, "Request": Request, "json": json}
    for fragment in fragments:
        exec(compile(fragment, "documents.txt", "exec"), names)
    return app


def as_endpoint(fragment: str) -> str:
    """The last fragment ends inside an endpoint that the documents do not show."""
    function, _, statement = fragment.rpartition("\nreturn ")
    route = '@app.post("/chat_stream")\nasync def stream_api(request: Request):'
    return f"{function}\n{route}\n    return {statement}"


async def ask(app: FastAPI) -> Chat:
    async with serving(app) as base, Browser(base) as browser:
        return await browser.turn("[[tokens=3]]")


async def test_01b_the_documents_code_runs_as_it_stands() -> None:
    chat = await ask(build(MIDDLEWARE, PLAIN))
    assert (chat.status, chat.text) == (200, "tok1 tok2 tok3 ")


async def test_03a_a_body_read_beforehand_gives_the_identical_result() -> None:
    plain, body_first = await ask(build(MIDDLEWARE, PLAIN)), await ask(build(MIDDLEWARE, BODY_FIRST))
    assert body_first.status == 200
    assert body_first.text == plain.text
    assert body_first.names == plain.names


async def test_09d_the_documents_callback_sees_the_finished_reply(capfd: pytest.CaptureFixture[str]) -> None:
    app = build(MIDDLEWARE, as_endpoint(CALLBACK))
    async with serving(app) as base, Browser(base) as browser:
        await browser.turn("[[tokens=3]]")
        printed: list[str] = []

        def has_printed() -> bool:
            printed.append(capfd.readouterr().out)
            return "Assistant: tok1 tok2 tok3" in "".join(printed)

        await until(has_printed, "the callback's print")


@pytest.mark.parametrize("form", ["bytes", "str", "object", "form", "urlencoded"])
async def test_03b_bytes_text_and_parsed_forms_all_work(form: str) -> None:
    app = FastAPI()
    chat_stream, _ = demo_chat_stream()
    exec(compile(MIDDLEWARE, "documents.txt", "exec"), {"app": app})

    @app.post("/chat_stream")
    async def stream_api(request: Request) -> Any:  # noqa: ANN401 - as an application would write it
        raw = await request.body()
        parsed = json.loads(raw)
        body = {
            "bytes": raw,
            "str": raw.decode(),
            "object": parsed,
            "form": FormData({"user_input": parsed["user_input"], "regenerate": "false"}),
            "urlencoded": FormData({"user_input": parsed["user_input"]}),
        }[form]
        return await chat_stream.handle_chat_stream_request(request, body)

    chat = await ask(app)
    assert (chat.status, chat.text) == (200, "tok1 tok2 tok3 ")
