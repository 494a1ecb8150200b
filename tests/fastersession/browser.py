"""A browser's part of ASGI: it sends its cookie, keeps what it gets, and sees each message as it comes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastersession.asgi import ASGIApp, Message, Receive, Scope, Send

KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class Reply:
    """What an application sent."""

    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    def headers(self, name: str) -> list[str]:
        pairs: Sequence[tuple[bytes, bytes]] = self.messages[0].get("headers", ())
        return [value.decode() for key, value in pairs if key.decode() == name]


class Browser:
    """Keeps one cookie per name, until it is expired."""

    def __init__(self, app: ASGIApp, *, scheme: str = "https") -> None:
        self.app = app
        self.scheme = scheme
        self.cookies: dict[str, str] = {}

    async def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        cookie: bytes | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        send: Send | None = None,
    ) -> Reply:
        """One request. `cookie` replaces what the jar would send, `headers` come on top."""
        reply = Reply()

        async def keep(message: Message) -> None:
            reply.messages.append(message)
            if send is not None:
                await send(message)

        await self.app(self._scope(path, method, cookie, headers), _no_body, keep)
        if reply.messages:
            self._keep_cookies(reply.headers("set-cookie"))
        return reply

    def _scope(
        self, path: str, method: str, cookie: bytes | None, headers: Sequence[tuple[bytes, bytes]]
    ) -> Scope:
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items()).encode()
        line = jar if cookie is None else cookie
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.scheme,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"testserver")] + ([(b"cookie", line)] if line else []) + [*headers],
            "client": ("192.0.2.1", 40000),
            "server": ("testserver", 443),
        }

    def _keep_cookies(self, headers: list[str]) -> None:
        for header in headers:
            pair, *attributes = header.split("; ")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def reply_with(send: Send, body: bytes = b"", *, status: int = 200) -> None:
    """A whole response in two messages."""
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def by_path(**handlers: ASGIApp) -> ASGIApp:
    """An application that looks its handler up by the path without its slash."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await handlers[scope["path"].strip("/")](scope, receive, send)

    return app
