"""What a page's requests carry on the wire: cookies and headers that the browser adds after all else."""

from typing import Any

from playwright.async_api import Page

from harness.waiting import eventually

Headers = dict[str, str]


class Wire:
    """Notes the headers of every request of one page."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._headers: dict[str, Headers] = {}

    @classmethod
    async def tap(cls, page: Page) -> "Wire":
        wire, devtools = cls(), await page.context.new_cdp_session(page)
        devtools.on("Network.requestWillBeSent", wire._begins)
        devtools.on("Network.requestWillBeSentExtraInfo", wire._is_sent)
        await devtools.send("Network.enable")
        return wire

    async def requests(self, path: str, count: int) -> list[Headers]:
        """The headers of the requests to a path, once there are so many; names in small letters."""

        async def found() -> list[Headers]:
            ids = [id_ for id_, url in self._paths.items() if url.endswith(path)]
            return [self._headers[id_] for id_ in ids if id_ in self._headers]

        return await eventually(
            found, lambda seen: len(seen) == count, what=f"{count} requests to {path}", within=10
        )

    def _begins(self, event: dict[str, Any]) -> None:
        self._paths[event["requestId"]] = event["request"]["url"]

    def _is_sent(self, event: dict[str, Any]) -> None:
        self._headers[event["requestId"]] = {k.lower(): v for k, v in event["headers"].items()}
