"""The finish callback: called once, in time or not at all waited for, and never able to do harm."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request

from chatstream.logs import get_logger
from chatstream.turns.outcome import Ending

Callback = Callable[..., Awaitable[Any] | Any]
log = get_logger(__name__)


async def notify(callback: Callback, request: Request, ending: Ending, limit: float) -> None:
    """Call `callback(request, message)`, with `cause=` where it takes that, for at most `limit` seconds.

    Coroutine functions are awaited, others run in a thread of their own. What it raises is logged.
    """
    extra = {"cause": ending.cause} if takes_cause(callback) else {}
    try:
        async with asyncio.timeout(limit):
            if inspect.iscoroutinefunction(callback) or _called_as_coroutine(callback):
                await callback(request, ending.outcome, **extra)
            else:
                await _in_thread(lambda: callback(request, ending.outcome, **extra))
    except TimeoutError:
        log.warning("callback timed out", seconds=limit, outcome=ending.outcome)
    except Exception:
        # It is somebody else's code, and the turn is over.
        log.exception("callback failed", outcome=ending.outcome)


def takes_cause(callback: Callback) -> bool:
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(one.name == "cause" or one.kind is one.VAR_KEYWORD for one in parameters)


def _called_as_coroutine(callback: Callback) -> bool:
    return inspect.iscoroutinefunction(getattr(callback, "__call__", None))  # noqa: B004 - an object's method


async def _in_thread(call: Callable[[], Any]) -> None:
    """Run `call` in a daemon thread, which keeps nobody from exiting if it never ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - whatever it returns
        if done.done():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001 - carried over to the loop, all of it
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="chatstream-callback", daemon=True).start()
    result = await done
    if inspect.isawaitable(result):
        await result
