"""A notebook for each browser, kept in a SQLite file. See README.md for how to run it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from pydantic import BaseModel

from fastersession import FasterSessionMiddleware, Journal
from sql_sessions.store import SqlStore


class Note(BaseModel):
    """What a client adds."""

    text: str


def make_app() -> FastAPI:
    """The application; environment: SECRET_KEY, and SESSIONS_FILE (sessions.sqlite3)."""
    store = SqlStore(os.environ.get("SESSIONS_FILE", "sessions.sqlite3"))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await store.aclose()

    app = FastAPI(lifespan=lifespan)
    # On a site with https: secure=True.
    app.add_middleware(FasterSessionMiddleware, secret_key=os.environ["SECRET_KEY"], store=store)
    app.add_api_route("/notes", add_note, methods=["POST"])
    app.add_api_route("/notes", list_notes, methods=["GET"])
    app.add_api_route("/notes", forget, methods=["DELETE"], status_code=204)
    return app


async def add_note(note: Note, request: Request) -> int:
    """Add a note; how many there are now. The answer is sent once the note is in the file."""
    notes = request.state.session.get_session().setdefault("notes", Journal())
    notes.append(note.text)
    return int(notes.total)


async def list_notes(request: Request) -> list[str]:
    """All notes, also those that were not read with the session."""
    notes = request.state.session.get_session().get("notes")
    return [] if notes is None else [note async for note in request.state.session.entries(notes)]


async def forget(request: Request) -> None:
    """End the session and remove what is stored of it."""
    request.state.session.invalidate()
