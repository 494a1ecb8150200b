"""helm as the tests use it: the one that devcluster builds, with nothing of the user's own configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "chatstream"
ALL_OPTIONS = CHART / "ci" / "all-options.yaml"
RUN_SECONDS = 50.0

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run of helm left: its exit status, and what it printed."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Helm:
    """Runs one helm binary; `home` takes what it writes, `kubeconfig` names the cluster if there is one."""

    binary: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str) -> Result:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        if self.kubeconfig is not None:
            environment["KUBECONFIG"] = str(self.kubeconfig)
        done = subprocess.run(
            [str(self.binary), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, *arguments: str) -> str:
        """What a run that has to succeed printed."""
        result = self.run(*arguments)
        assert result.status == 0, f"helm {' '.join(arguments)}: {result.err}"
        return result.out

    def template(
        self,
        *arguments: str,
        release: str = "chatstream",
        namespace: str = "chatstream-system",
        values: Sequence[Path] = (),
    ) -> list[Manifest]:
        """The rendered manifests, parsed."""
        files = [argument for file in values for argument in ("--values", str(file))]
        text = self.must("template", release, str(CHART), "--namespace", namespace, *files, *arguments)
        return [document for document in yaml.safe_load_all(text) if document]


def pick(manifests: Iterable[Manifest], kind: str, suffix: str = "") -> Manifest:
    """The one manifest of a kind whose name ends so."""
    found = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]
