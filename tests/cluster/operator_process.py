"""The real operator as a process of its own, with the rights that the chart gives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from devcluster import kubeconfig
from devcluster.control_plane import Throwaway
from helm import Helm
from tests.cluster.kubectl import Kubectl, eventually

NAMESPACE = "chatstream-system"
RIGHTS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding"}
RESYNC_SECONDS = 5
STOP_SECONDS = 15.0


def grant_rights(admin: Kubectl, helm: Helm, plane: Throwaway, folder: Path) -> Path:
    """Applies the chart's service account and roles. Gives a kubeconfig of that account."""
    manifests = [one for one in helm.template(namespace=NAMESPACE) if one["kind"] in RIGHTS]
    admin.must("create", "namespace", NAMESPACE)
    account = next(one["metadata"]["name"] for one in manifests if one["kind"] == "ServiceAccount")
    listing = {"apiVersion": "v1", "kind": "List", "items": manifests}
    admin.must("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(listing))
    token = admin.must("create", "token", account, "-n", NAMESPACE, "--duration=1h").strip()
    path = folder / "operator.kubeconfig"
    path.write_text(kubeconfig.build(plane.server, token, plane.authority.read_bytes()))
    return path


class OperatorProcess:
    """start() and stop() may alternate; the log goes on."""

    def __init__(self, kubeconfig_path: Path, folder: Path, ports: tuple[int, int]) -> None:
        self._log = folder / "operator.log"
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig_path),
            "CHATSTREAM_OPERATOR_RESYNC_SECONDS": str(RESYNC_SECONDS),
            "CHATSTREAM_OPERATOR_HEALTH_PORT": str(ports[0]),
            "CHATSTREAM_OPERATOR_METRICS_PORT": str(ports[1]),
            "CHATSTREAM_OPERATOR_SERVER_IMAGE": "server:1",
            "CHATSTREAM_OPERATOR_TGI_IMAGE": "tgi:1",
            "CHATSTREAM_OPERATOR_REDIS_IMAGE": "redis:1",
        }

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chatstream_operator"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        eventually(lambda: self.page("/readyz") == 200, f"the operator is ready: {self.log()[-2000:]}")

    def stop(self) -> int:
        """Ends it as Kubernetes does. Gives its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """Ends it at once, as the kernel does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def page(self, path: str) -> int:
        """The status of a page on the health port; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[0]}{path}", timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[1]}/metrics", timeout=5) as response:
            text: str = response.read().decode()
            return text

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def writes(self) -> int:
        """How many writes to children its log tells of."""
        return sum(self.log().count(f'"event": "{word}"') for word in ("apply", "create_secret", "prune"))
