"""Fixtures that the suites against the real cluster share; their conftest files import them."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from harness.browser import Browser
from harness.cluster import Cluster
from harness.forwarder import Certificate
from harness.kube import Kube, cluster_environment
from harness.namespaces import Namespaces


@pytest.fixture(scope="session")
def kube() -> Kube:
    return Kube(cluster_environment())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(kube: Kube) -> AsyncIterator[Cluster]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Cluster(kube, http)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def namespaces(kube: Kube) -> AsyncIterator[Namespaces]:
    """Clears what an earlier, broken run left; at the end waits until everything of this one is gone."""
    ours = Namespaces(kube)
    await ours.clear()
    yield ours
    await ours.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def namespace(namespaces: Namespaces, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A namespace of the module's own, named after it."""
    topic = request.path.stem.removeprefix("test_").replace("_", "-")[:30]
    name = await namespaces.make(topic)
    yield name
    await namespaces.empty(name)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.make(tmp_path_factory.mktemp("tls"))


class Browsers:
    """Opens browser sessions and closes them all."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self._open: list[Browser] = []

    def __call__(self, url: str) -> Browser:
        trust = self._certificate.client() if url.startswith("https:") else None
        self._open.append(Browser(url, trust=trust))
        return self._open[-1]

    async def close(self) -> None:
        for browser in self._open:
            await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browsers(certificate: Certificate) -> AsyncIterator[Browsers]:
    factory = Browsers(certificate)
    yield factory
    await factory.close()
