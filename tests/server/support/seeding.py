"""Conversations of any length, made at once and not turn by turn."""

from typing import Any

from fastapi import FastAPI, Request

from chatstream import ChatPrompt
from chatstream.turns.session_access import SESSION_KEY
from tests.server.support.live import Browser


def add_seeding(app: FastAPI) -> None:
    """A route that gives the browser's session a conversation of so many messages."""

    @app.post("/seed/{messages}")
    async def seed(request: Request, messages: int) -> dict[str, Any]:
        session = request.state.session
        await session.load()
        prompt = ChatPrompt()
        for number in range(messages):
            text = f"message {number} with some more words in it, as people write them"
            (prompt.add_responder_msg if number % 2 else prompt.add_requester_msg)(text)
        session.get_session()[SESSION_KEY] = prompt
        return {"messages": messages}


async def seed(browser: Browser, messages: int) -> None:
    assert (await browser.fetch("POST", f"/seed/{messages}")).status == 200
