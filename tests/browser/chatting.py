"""A chat turn in a page."""

from pathlib import Path
from typing import Any

from playwright.async_api import Page

CLIENT = (Path(__file__).parent / "chat_client.js").read_text()


async def reply(page: Page, user_input: str) -> str:
    """The text of one whole turn, without a warning."""
    await page.evaluate(CLIENT)
    answer: dict[str, Any] = await page.evaluate("(text) => replyTo(text)", user_input)
    assert answer["status"] == 200, answer
    *deltas, done = answer["events"]
    assert done["name"] == "done", answer
    assert {event["name"] for event in deltas} == {"message"}, answer
    return "".join(event["data"]["delta"] for event in deltas)
