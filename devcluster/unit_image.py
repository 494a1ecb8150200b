"""`unit-image`: the unit tests once more, on the images' Python, in a container of the images' base.

The container is a working one of buildah's: no containerd, no cluster, nothing of `up` but its image storage.
It runs in a PID namespace that ends with this process, however that ends, and is removed; what a killed run
could not remove, the next one does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from devcluster import containers, images, packages, paths, processes, state
from devcluster.commands import run
from devcluster.errors import CannotContinue, DevclusterError
from devcluster.images import Image, Recipe
from devcluster.processes import Process

NEEDED = ("buildah", "ca-certificates", "mmdebstrap", "util-linux")
RECIPE = Recipe(
    "unit",
    "devcluster/images/unit/Dockerfile",
    ("requirements/build.txt", "requirements/dev.txt", ".dockerignore"),
)
SCRIPT = "/repository/devcluster/images/unit/run.sh"
FOLDERS = ("tests/server", "tests/fastersession", "tests/operator", "tests/examples")
DEFAULTS = ("-n", "2", *FOLDERS)
PREFIX = "chatstream-unit-"
# Tests behave otherwise in CI (a skipped one fails, hypothesis takes the same examples each time): here too.
PASSED_ON = ("CI",)
LIMIT_SECONDS = 1800.0


def main(arguments: Sequence[str]) -> int:
    """pytest's exit status. The arguments replace ours: -n 2 and the folders."""
    if os.geteuid() != 0:
        raise CannotContinue("Containers are made as root here: run this as root.")
    packages.ensure(NEEDED)
    remove_leftovers()
    image = ensure_image()
    with ended_by_signals(), container(image) as name:
        return run_tests(name, arguments or DEFAULTS)


def ensure_image() -> Image:
    """The test image in buildah's storage; built under the lock of `up` when it is not there."""
    image = images.of(RECIPE)
    if not images.stored(image):
        print(f"Building {image.reference} (about 1 min) ...", flush=True)
        with state.locked(paths.CLUSTER):
            images.ensure_base()
            images.build(RECIPE, image)
            _forget_older(image)
    return image


@contextmanager
def container(image: Image) -> Iterator[str]:
    """A container of the image, for as long as the context; its name tells whose it is."""
    name = name_for(os.getpid(), processes.start_time(os.getpid()) or 0)
    try:
        images.buildah("from", "--name", name, image.reference)
        yield name
    finally:
        remove(name)


def run_tests(name: str, arguments: Sequence[str]) -> int:
    """pytest's exit status; its output goes where ours does. DevclusterError past LIMIT_SECONDS."""
    folder = scratch(name)
    folder.mkdir(parents=True)
    argv = build_argv(name, paths.REPOSITORY, os.environ, arguments)
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen([str(word) for word in argv], env=environment, stdin=subprocess.DEVNULL) as child:
        try:
            return child.wait(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise DevclusterError(f"The tests did not end within {LIMIT_SECONDS:.0f} s.") from error
        finally:
            # The namespace, with all that is in it, ends with the process that made it.
            child.kill()


def build_argv(
    name: str, repository: Path, environment: Mapping[str, str], arguments: Sequence[str]
) -> list[str | Path]:
    """The command that runs pytest in the container, the repository mounted read-only."""
    passed = [f"{key}={environment[key]}" for key in PASSED_ON if key in environment]
    return [
        *("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *images.buildah_argv("run", "--isolation", "chroot", "--network", "host"),
        *("--volume", f"{repository}:/repository:ro"),
        *(word for item in passed for word in ("--env", item)),
        *(name, "--", "sh", SCRIPT, *arguments),
    ]


def name_for(pid: int, start: int) -> str:
    """The container's name: its process, and when that started, as pids are used again."""
    return f"{PREFIX}{pid}-{start}"


def find_abandoned(names: Iterable[str]) -> list[str]:
    """Of these names, those of our containers whose process is gone."""
    return [name for name in names if (owner := _owner(name)) is not None and not owner.alive()]


def remove_leftovers() -> None:
    """What killed runs left: containers, and the folders that buildah worked in."""
    listed = images.buildah("containers", "--noheading", "--format", "{{.ContainerName}}").split()
    folders = [path.name for path in scratch("").glob(f"{PREFIX}*")]
    for name in find_abandoned({*listed, *folders}):
        remove(name)


def remove(name: str) -> None:
    """The container and its folder; nothing happens when they are gone already."""
    _try_buildah("rm", name)
    containers.unmount_under(scratch(name))
    shutil.rmtree(scratch(name), ignore_errors=True)


def scratch(name: str) -> Path:
    """Where buildah works for the container; in its own cache, so that `make clean` takes it too."""
    return paths.cache() / "buildah" / "tmp" / name


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A request to end unwinds the stack, as Ctrl-C does, so that the container is removed."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _owner(name: str) -> Process | None:
    """Whose container it is; None for one that is not ours."""
    pid, _, start = name.removeprefix(PREFIX).partition("-")
    ours = name.startswith(PREFIX) and pid.isdigit() and start.isdigit()
    return Process(int(pid), int(start)) if ours else None


def _forget_older(image: Image) -> None:
    """The images of earlier requirements; one that another run still uses stays."""
    for reference in images.buildah("images", "--noheading", "--format", "{{.Name}}:{{.Tag}}").split():
        if reference.startswith(f"{image.repository}:") and reference != image.reference:
            _try_buildah("rmi", reference)


def _try_buildah(*arguments: str) -> None:
    run(images.buildah_argv(*arguments), check=False)
