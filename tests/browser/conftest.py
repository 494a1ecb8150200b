"""A real chromium before the demo of `make up`, at https://localhost:PORT."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, async_playwright

from harness.cluster import Chat, Cluster
from harness.fixtures import certificate, cluster, kube

__all__ = ["certificate", "cluster", "kube"]

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PICTURES = Path(__file__).resolve().parents[2] / "build" / "browser"


@pytest.fixture(scope="session")
def demo_url() -> str:
    return f"https://localhost:{os.environ.get('PORT', '8443')}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def demo(cluster: Cluster) -> Chat:
    """The ChatStream behind the address, Ready."""
    return await Chat(cluster, "default", "demo").ready()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET + OFFLINE)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Chromium, demo_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of the demo's own origin in a fresh browser session; its picture is kept in build/browser."""
    context = await chromium.new_context(ignore_https_errors=True)
    page = await context.new_page()
    await page.goto(f"{demo_url}/healthz")
    yield page
    name = re.sub(r"\W+", "-", request.node.name)
    await page.screenshot(path=PICTURES / f"{name}.png")
    await context.close()
