"""kubectl against the throw-away API server, and waiting with a deadline."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Object = dict[str, Any]
RUN_SECONDS = 40.0
WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one run said. status 0: it succeeded."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One user of one API server."""

    binary: Path
    kubeconfig: Path

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        done = subprocess.run(
            [str(self.binary), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, *arguments: str, stdin: str | None = None) -> str:
        result = self.run(*arguments, stdin=stdin)
        assert result.status == 0, f"kubectl {' '.join(arguments)}: {result.err}"
        return result.out

    def apply(self, obj: Object) -> None:
        self.must("apply", "-f", "-", stdin=json.dumps(obj))

    def get(self, *arguments: str) -> Object:
        found: Object = json.loads(self.must("get", *arguments, "-o", "json"))
        return found

    def find(self, *arguments: str) -> Object | None:
        """None where it is not there."""
        text = self.must("get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def names(self, kinds: str, namespace: str) -> set[str]:
        """`kind/name` of everything of those kinds."""
        return set(self.must("get", kinds, "-n", namespace, "-o", "name").split())

    def patch(self, kind: str, name: str, namespace: str, patch: Object, *arguments: str) -> None:
        text = json.dumps(patch)
        self.must("patch", kind, name, "-n", namespace, "--type=merge", f"--patch={text}", *arguments)


def eventually(look: Callable[[], T | None], what: str, within: float = WITHIN) -> T:
    """What look() gives, once it gives something that is true."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(0.1)


def chatstream(name: str, namespace: str, **spec: Any) -> Object:  # noqa: ANN401 -- JSON
    """A resource with the Demo engine unless the spec says otherwise."""
    return {
        "apiVersion": "chatstream.dev/v1alpha1",
        "kind": "ChatStream",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"engine": {"type": "Demo"}, **spec},
    }
