"""The middleware: pure ASGI, so that streams flow and disconnects pass."""

import logging
import time
from collections.abc import Callable, Sequence

from fastersession.asgi import ASGIApp, Message, Receive, Scope, Send, answer, refuse
from fastersession.context import SessionContext
from fastersession.cookies import CookiePolicy, IdSigner, Presented, SameSite, default_name, read_cookie
from fastersession.csrf import OriginCheck
from fastersession.errors import SessionError
from fastersession.keys import KeyRing
from fastersession.leases import LeaseReturner
from fastersession.records import DEFAULT_WINDOW, Window
from fastersession.session import Session
from fastersession.store import SessionStore

Headers = list[tuple[bytes, bytes]]

logger = logging.getLogger(__name__)

# Without more_body each of them is the last one of a body; whatever else a server knows passes as it comes.
_BODIES = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})


class FasterSessionMiddleware:
    """Gives every HTTP request a `Session` at `request.state.session`; other scopes pass untouched.

    `secret_key`: one key or several, the first signs, every one verifies; or a KeyRing, whose keys can be
    replaced while serving. `allowed_origins`: whose pages may change something besides our own. Times are in
    seconds. With `autoload=False` the application awaits `session.load()` itself, where and how it wants.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        secret_key: str | Sequence[str] | KeyRing,
        store: SessionStore,
        http_only: bool = True,
        secure: bool = False,
        same_site: SameSite = "lax",
        cookie_name: str | None = None,
        path: str = "/",
        partitioned: bool = False,
        allowed_origins: Sequence[str] = (),
        idle_timeout: float = 86400,
        absolute_timeout: float = 30 * 86400,
        unconfirmed_timeout: float = 4 * 3600,
        window: Window = DEFAULT_WINDOW,
        autoload: bool = True,
        io_timeout: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if min(idle_timeout, absolute_timeout, unconfirmed_timeout, io_timeout) <= 0:
            raise ValueError("the timeouts must be above 0")
        self._app = app
        self._signer = IdSigner(secret_key)
        name = default_name(secure, path) if cookie_name is None else cookie_name
        self._cookie = CookiePolicy(name, path, http_only, secure, same_site, partitioned)
        self._origins = OriginCheck(allowed_origins)
        self._autoload = autoload
        returner = LeaseReturner(store, io_timeout)
        self._context = SessionContext(
            store, returner, clock, io_timeout, idle_timeout, absolute_timeout, unconfirmed_timeout, window
        )
        self._told_plain_http = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._origins.refusal(scope)
        if refusal is not None:
            await refuse(send, refusal)
            return
        presented = read_cookie(scope["headers"], self._cookie.name, self._signer)
        session = Session(
            self._context, *presented.ids, plain_http_with_secure_cookie=self._is_plain_http(scope)
        )
        scope.setdefault("state", {})["session"] = session
        if self._autoload:
            await session.autoload()
        responder = _Responder(session, presented, self._cookie, self._signer, send)
        await responder.run(self._app, scope, receive)

    def _is_plain_http(self, scope: Scope) -> bool:
        if not self._cookie.secure or scope.get("scheme", "http") != "http":
            return False
        if not self._told_plain_http:
            self._told_plain_http = True
            logger.warning(
                "a request came over plain http, but the session cookie is Secure: browsers will not send it "
                "back, so each request begins a new session. Serve https, trust the X-Forwarded-Proto of the "
                "proxy, or set secure=False"
            )
        return True


class _Responder:
    """One request: the cookie goes into its response, the session into the store before the response ends."""

    def __init__(
        self, session: Session, presented: Presented, cookie: CookiePolicy, signer: IdSigner, send: Send
    ) -> None:
        self._session = session
        self._presented = presented
        self._cookie = cookie
        self._signer = signer
        self._send = send
        self._started = False
        self._replaced = False

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        try:
            await app(scope, receive, self.send)
        except SessionError as error:
            if self._replaced:
                logger.info("after a response that failed for its session: %s", error)
            elif self._started:
                raise
            else:
                await self._replace(error)
        finally:
            await self._conclude()

    async def send(self, message: Message) -> None:
        """The application's `send`."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            await self._start(message)
            return
        if message["type"] in _BODIES and not message.get("more_body", False):
            await self._save_before_the_end()
        await self._send(message)

    async def _start(self, message: Message) -> None:
        try:
            await self._session.before_response()
        except SessionError as error:
            await self._replace(error)
            return
        cookie = self._set_cookie()
        if cookie is not None or self._session.was_read:
            headers = list(message.get("headers", ()))
            message = {**message, "headers": headers + _added(headers, cookie)}
        self._begin(cookie_sent=self._session.is_kept())
        await self._send(message)

    def _set_cookie(self) -> bytes | None:
        if self._session.is_kept():
            value = self._signer.sign(self._session.id)
            return None if value == self._presented.value else self._cookie.set(value)
        if self._session.ended and self._presented.any:
            return self._cookie.expire()
        return None

    def _begin(self, *, cookie_sent: bool) -> None:
        self._started = True
        self._session.response_started(cookie_sent=cookie_sent)

    async def _replace(self, error: SessionError) -> None:
        """Nothing was sent yet: answer with the error, and drop what the application still sends."""
        self._begin(cookie_sent=False)
        self._replaced = True
        await answer(self._send, error)

    async def _save_before_the_end(self) -> None:
        """The client may send its next request as soon as this response is whole."""
        if self._started and not self._session.has_lease:
            await self._save()

    async def _conclude(self) -> None:
        """The application is done. What it left unsaved is saved, unless it failed before it answered."""
        try:
            if self._started and not self._replaced and await self._save():
                await self._touch()
        finally:
            await self._session.release()

    async def _save(self) -> bool:
        try:
            await self._session.save()
        except SessionError as error:
            logger.error("the session was not saved: %s: %s", type(error).__name__, error)
            return False
        return True

    async def _touch(self) -> None:
        try:
            await self._session.touch()
        except SessionError as error:
            logger.warning("the idle time of a session was not renewed: %s", error)


def _added(headers: Headers, cookie: bytes | None) -> Headers:
    """What a response that depends on the session needs besides its own headers, for shared caches too."""
    added = [(b"vary", b"Cookie")]
    if cookie is not None:
        added.append((b"set-cookie", cookie))
        if all(name.lower() != b"cache-control" for name, _ in headers):
            added.append((b"cache-control", b"no-store"))
    return added
