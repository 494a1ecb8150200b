"""One chat turn by the way that users go: TLS, forwarder, Service, server."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from devcluster.errors import DevclusterError
from devcluster.paths import CA_CERTIFICATE

TURN_SECONDS = 60.0
QUESTION = "Hello! What are you?"


def wait_served(port: int, seconds: float = 60.0) -> str:
    """Until the whole way through the forwarder is open."""
    context = ssl.create_default_context(cafile=str(CA_CERTIFICATE))
    deadline, said = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        connection = http.client.HTTPSConnection("localhost", port, timeout=5, context=context)
        try:
            connection.request("GET", "/readyz")
            said = str(connection.getresponse().status)
        except (OSError, http.client.HTTPException) as error:
            said = str(error)
        finally:
            connection.close()
        if said == "200":
            return f"https://localhost:{port}"
        time.sleep(0.3)
    raise DevclusterError(
        f"https://localhost:{port}/readyz is not answered with 200 after {seconds:.0f} s: {said}"
    )


def stream_turn(port: int, out: TextIO = sys.stdout) -> None:
    """One turn, its text as it comes; DevclusterError unless it ends with `done`."""
    context = ssl.create_default_context(cafile=str(CA_CERTIFICATE))
    connection = http.client.HTTPSConnection("localhost", port, timeout=TURN_SECONDS, context=context)
    out.write(f"\n  you:        {QUESTION}\n  chatstream: ")
    try:
        connection.request(
            "POST", "/chat_stream", json.dumps({"user_input": QUESTION}), {"content-type": "application/json"}
        )
        response = connection.getresponse()
        if response.status != 200:
            raise DevclusterError(f"The demo answered {response.status}: {response.read(2000).decode()}")
        ended = print_events(read_events(response.readline), out)
    except OSError as error:
        raise DevclusterError(f"The demo at https://localhost:{port} does not answer: {error}") from error
    finally:
        connection.close()
    out.write("\n\n")
    if ended != "done":
        raise DevclusterError(f"The demo's turn ended with: {ended}")


def read_events(readline: Callable[[], bytes]) -> Iterator[tuple[str, str]]:
    """(event name, data) of each server-sent event; comments are left out."""
    name, data = "message", ""
    while line := readline():
        text = line.decode().rstrip("\r\n")
        field, _, value = text.partition(":")
        if text == "" and data:
            yield name, data
        if text == "":
            name, data = "message", ""
        elif field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            data += value.removeprefix(" ")


def print_events(events: Iterator[tuple[str, str]], out: TextIO) -> str:
    """Write the deltas; the name of the last event, with its data if it is an error."""
    last = "nothing"
    for name, data in events:
        if name == "message":
            out.write(json.loads(data)["delta"].replace("\n", "\n              "))
            out.flush()
        last = f"{name} {data}" if name == "error" else name
    return last
