"""The cluster's programs, built from the Go modules pinned beside this file; cached by content."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster import golang, paths
from devcluster.commands import run
from devcluster.errors import CannotContinue, CommandFailed, DevclusterError

BUILD_SECONDS = 3600.0
# How `go build` complains when it cannot reach the module proxy.
NO_NETWORK = re.compile(r"dial tcp|no such host|proxyconnect|i/o timeout|connection refused")


@dataclass(frozen=True, slots=True)
class Program:
    """A main package of one of the pinned modules."""

    name: str
    folder: str
    module: str
    package: str
    cold_seconds: int
    tags: str = ""
    """Build tags, comma-separated."""

    @property
    def source(self) -> Path:
        return paths.FOLDER / self.folder

    @property
    def version(self) -> str:
        return read_version((self.source / "go.mod").read_text(), self.module)

    @property
    def path(self) -> Path:
        """Where the cache holds it, whether built or not."""
        return paths.cache() / "bin" / f"{self.name}-{self.version}-{self.content_hash()}"

    def content_hash(self) -> str:
        """Of everything that decides what is built."""
        digest = hashlib.sha256((ldflags(self) + self.tags).encode())
        for name in ("go.mod", "go.sum"):
            digest.update((self.source / name).read_bytes())
        return digest.hexdigest()[:12]


def _kubernetes(name: str, cold_seconds: int) -> Program:
    return Program(name, "kubernetes", "k8s.io/kubernetes", f"k8s.io/kubernetes/cmd/{name}", cold_seconds)


# Cold times were measured on two cores, in this order: the first of a module builds what the others share.
PROGRAMS = {
    program.name: program
    for program in (
        _kubernetes("kube-apiserver", 186),
        _kubernetes("kube-controller-manager", 48),
        _kubernetes("kube-scheduler", 5),
        _kubernetes("kubelet", 20),
        _kubernetes("kube-proxy", 15),
        _kubernetes("kubectl", 30),
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", 60),
        Program("coredns", "coredns", "github.com/coredns/coredns", "github.com/coredns/coredns", 130),
        Program("helm", "helm", "helm.sh/helm/v4", "helm.sh/helm/v4/cmd/helm", 90),
    )
}

# Debian's Prometheus lacks Kubernetes service discovery; of the upstream's this one builds no other.
# Only the tests need it, so `up` leaves it out.
_PROMETHEUS = Program(
    "prometheus",
    "prometheus",
    "github.com/prometheus/prometheus",
    "github.com/prometheus/prometheus/cmd/prometheus",
    125,
    tags="remove_all_sd,enable_kubernetes_sd",
)
TEST_PROGRAMS = {_PROMETHEUS.name: _PROMETHEUS}


def read_version(go_mod: str, module: str) -> str:
    """The version of `module` that a go.mod requires."""
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise DevclusterError(f"go.mod does not require {module}")
    return found.group(1)


def ldflags(program: Program) -> str:
    """Stripped; and Kubernetes' programs are told their version, else they call themselves v0.0.0."""
    flags = "-s -w"
    if program.folder == "kubernetes":
        major, minor, _ = program.version.removeprefix("v").split(".", 2)
        at = "k8s.io/component-base/version"
        flags += f" -X {at}.gitVersion={program.version} -X {at}.gitMajor={major} -X {at}.gitMinor={minor}"
    return flags


def build_environment(cache: Path) -> Mapping[str, str]:
    """What `go build` sees: of the user's own Go settings only where modules come from and are kept."""
    own = {"GOPATH": cache / "go", "GOMODCACHE": cache / "go" / "mod", "GOCACHE": cache / "go" / "build"}
    folders = {name: os.environ.get(name) or str(folder) for name, folder in own.items()}
    return {
        **folders,
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        **dict.fromkeys(("GOOS", "GOARCH", "GOEXPERIMENT", "GODEBUG", "GOARM64", "GOAMD64"), ""),
    }


def built(name: str) -> bool:
    return PROGRAMS[name].path.is_file()


def ensure(name: str) -> Path:
    """The program's path; builds it first if the cache has none (minutes, when cold)."""
    program = (PROGRAMS | TEST_PROGRAMS)[name]
    target = program.path
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            _build(program, part)
        except CommandFailed as error:
            if NO_NETWORK.search(error.output) is None:
                raise
            raise CannotContinue(
                f"Go's modules cannot be downloaded (see GOPROXY): {error.output}"
            ) from error
        part.replace(target)
    return target


def _build(program: Program, target: Path) -> None:
    go: list[str | Path] = [golang.ensure(), "build", "-ldflags", ldflags(program), "-tags", program.tags]
    environment = build_environment(paths.cache())
    run([*go, "-o", target, program.package], cwd=program.source, env=environment, timeout=BUILD_SECONDS)


def link_all(folder: Path) -> None:
    """Links under plain names, so that `kubectl` and `helm` can stand in PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        link, target = folder / name, ensure(name)
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def remove_cache(cache: Path) -> None:
    """Delete the cache folder; everything in it can be made again."""
    shutil.rmtree(cache, ignore_errors=True)
