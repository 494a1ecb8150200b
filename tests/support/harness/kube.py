"""kubectl as these tests use it: one process a call, a limit on each, the user's own words back."""

import asyncio
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
Manifest = dict[str, Any]


class KubectlError(AssertionError):
    """kubectl ended with an error; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one kubectl run left behind."""

    code: int
    stdout: str
    stderr: str


def cluster_environment() -> dict[str, str]:
    """This environment with the local cluster's KUBECONFIG and PATH. AssertionError if no cluster is up."""
    script = 'eval "$(python3 -m devcluster env)" && env -0'
    told = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    found = dict(line.split("=", 1) for line in told.stdout.split("\0") if "=" in line)
    if not Path(found.get("KUBECONFIG", "")).is_file():
        raise AssertionError(f"the local cluster is not up: run `make up` first. {told.stderr.strip()}")
    return found


@dataclass(frozen=True, slots=True)
class Kube:
    """The cluster, through kubectl."""

    environment: dict[str, str]

    @property
    def kubeconfig(self) -> Path:
        return Path(self.environment["KUBECONFIG"])

    async def run(self, *arguments: str, stdin: str | None = None, limit: float = 60.0) -> Outcome:
        """Run kubectl; its exit status never raises. TimeoutError past `limit` seconds."""
        process = await asyncio.create_subprocess_exec(
            "kubectl",
            *arguments,
            env=self.environment,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            given = stdin.encode() if stdin is not None else None
            out, err = await asyncio.wait_for(process.communicate(given), limit)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Outcome(process.returncode or 0, out.decode(), err.decode())

    async def __call__(self, *arguments: str, stdin: str | None = None, limit: float = 60.0) -> str:
        """Standard output of a run that must succeed."""
        outcome = await self.run(*arguments, stdin=stdin, limit=limit)
        if outcome.code != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {outcome.stderr.strip()}")
        return outcome.stdout

    async def apply(self, *manifests: Manifest) -> None:
        everything = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        await self("apply", "-f", "-", stdin=json.dumps(everything))

    async def list(self, kinds: str, namespace: str, selector: str = "") -> list[Manifest]:
        """Objects of the kinds (comma-separated) in a namespace, or in all of them if it is empty."""
        where = ["-n", namespace] if namespace else ["-A"]
        answer = await self("get", kinds, *where, "-l", selector, "-o", "json")
        items: list[Manifest] = json.loads(answer)["items"]
        return items

    async def get(self, kind: str, name: str, namespace: str) -> Manifest:
        """One object; {} if there is none of that name."""
        answer = await self("get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "json")
        found: Manifest = json.loads(answer) if answer.strip() else {}
        return found

    async def delete(self, kind: str, name: str, namespace: str) -> None:
        """Ask for a deletion and do not wait for it; gone already is well."""
        await self("delete", kind, name, "-n", namespace, "--wait=false", "--ignore-not-found")
