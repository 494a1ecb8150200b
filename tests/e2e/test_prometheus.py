"""A real Prometheus finds the pods by itself; its answers equal what the test did."""

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from devcluster import programs
from harness.cluster import Chat, Cluster
from harness.fixtures import Browsers
from harness.kube import Kube
from harness.manifests import build_chatstream
from harness.waiting import eventually

# The first run of all builds Prometheus, since Debian's knows nothing of Kubernetes: minutes, then cached.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

LONG = "[[tokens=900]] [[delay=100]]"
ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"


def build_config(kubeconfig: Path, namespace: str) -> dict[str, Any]:
    """What every guide shows: pods that carry the prometheus.io annotations, and nothing of ChatStream."""
    relabel = [
        {"source_labels": [f"{ANNOTATION}scrape"], "action": "keep", "regex": "true"},
        {"source_labels": [f"{ANNOTATION}path"], "action": "replace", "target_label": "__metrics_path__"},
        {
            "source_labels": ["__meta_kubernetes_pod_ip", f"{ANNOTATION}port"],
            "regex": "(.+);(.+)",
            "replacement": "$1:$2",
            "target_label": "__address__",
        },
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
    ]
    discovery = {"role": "pod", "kubeconfig_file": str(kubeconfig), "namespaces": {"names": [namespace]}}
    job = {"job_name": "pods", "kubernetes_sd_configs": [discovery], "relabel_configs": relabel}
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    cluster: Cluster
    address: str

    async def ask(self, promql: str) -> dict[str, float]:
        """An instant query: the series' labels, joined, with their values."""
        async with self.cluster.http.get(
            f"{self.address}/api/v1/query", params={"query": promql}
        ) as response:
            answer = json.loads(await response.text())
        assert answer["status"] == "success", answer
        return {",".join(r["metric"].values()): float(r["value"][1]) for r in answer["data"]["result"]}

    async def answers(self, promql: str, wanted: dict[str, float], within: float = 15.0) -> None:
        async def probe() -> dict[str, float]:
            return await self.ask(promql)

        await eventually(probe, lambda seen: seen == wanted, what=f"{promql} is {wanted}", within=within)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def program() -> Path:
    return programs.ensure("prometheus")


@pytest_asyncio.fixture(loop_scope="session")
async def prometheus(
    program: Path, cluster: Cluster, kube: Kube, namespace: str, tmp_path: Path
) -> AsyncIterator[Prometheus]:
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump(build_config(kube.kubeconfig, namespace)))
    port = free_port()
    listen, data = f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={tmp_path / 'data'}"
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, f"--config.file={config}", listen, data, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield await answering(Prometheus(cluster, f"http://127.0.0.1:{port}"))
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


async def answering(prometheus: Prometheus) -> Prometheus:
    async def ready() -> bool:
        try:
            await prometheus.cluster.text(f"{prometheus.address}/-/ready")
        except OSError:
            return False
        return True

    await eventually(ready, bool, what="Prometheus is ready", within=20)
    return prometheus


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(cluster: Cluster, namespace: str) -> Chat:
    limits = {"maxConcurrent": 2, "maxQueued": 4}
    [chat] = await cluster.create(build_chatstream(namespace, "watched", replicas=2, concurrency=limits))
    return await chat.ready()


async def test_promql_answers_for_concurrency_and_disconnects_equal_what_was_done(
    chat: Chat, prometheus: Prometheus, browsers: Browsers
) -> None:
    pods = {pod.name: 1.0 for pod in await chat.pods()}
    await prometheus.answers("sum by (pod) (up)", pods, within=30)
    await prometheus.answers("sum(chatstream_generations_limit)", {"": 4})
    await prometheus.answers("sum(chatstream_generations_in_progress)", {"": 0})
    [pod, *_] = await chat.pods()
    url = f"http://{pod.ip}:8080"
    streaming = [await browsers(url).say(LONG).deltas(2), await browsers(url).say(LONG).deltas(2)]
    queued = await browsers(url).say(LONG).until(lambda s: s.named("queued") != [], "its place")
    progress = "chatstream_generations_in_progress"
    await prometheus.answers(f"sum by (pod) ({progress} > 0)", {pod.name: 2})
    await prometheus.answers("sum(chatstream_queue_length)", {"": 1})
    await queued.leave()
    await asyncio.gather(*(stream.leave() for stream in streaming))
    await prometheus.answers(f"sum({progress})", {"": 0})
    by_phase = "sum by (phase) (chatstream_disconnects_total) > 0"
    await prometheus.answers(by_phase, {"queued": 1, "streaming": 2})
    by_outcome = "sum by (outcome) (chatstream_turns_total) > 0"
    left = {"client_disconnected_before_streaming": 1.0, "client_disconnected_while_streaming": 2.0}
    await prometheus.answers(by_outcome, left)
    assert await browsers(url).reply("[[tokens=3]]") == "tok1 tok2 tok3 "
    await prometheus.answers(by_outcome, {**left, "success": 1})
    await prometheus.answers(f"max_over_time(sum({progress})[2m:1s])", {"": 2})
    await prometheus.answers("sum(chatstream_engine_up)", {"": 2})
