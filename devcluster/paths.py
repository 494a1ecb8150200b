"""Where everything lies: state that outlives a boot, the run folder that does not, caches, the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "devcluster"


@dataclass(frozen=True, slots=True)
class Layout:
    """The two folders of one cluster and the files in them."""

    state: Path
    run: Path

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def kubeconfigs(self) -> Path:
        return self.state / "kubeconfigs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "kubeconfig"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def bin(self) -> Path:
        """Links to the programs under their plain names, for PATH."""
        return self.state / "bin"

    @property
    def facts(self) -> Path:
        """What this state was made for (JSON); written last, so its absence means a half-made state."""
        return self.state / "state.json"

    @property
    def pids(self) -> Path:
        return self.run / "pids"

    @property
    def logs(self) -> Path:
        return self.run / "logs"


CLUSTER = Layout(state=Path("/var/lib/chatstream-dev"), run=Path("/run/chatstream-dev"))
KUBECONFIG = CLUSTER.kubeconfig
CA_CERTIFICATE = CLUSTER.state / "ca.crt"


def cache() -> Path:
    """The cache folder of the user that runs this: programs, images, downloads."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path(os.environ.get("HOME") or "/root") / ".cache")
    return Path(base) / "chatstream-dev"
