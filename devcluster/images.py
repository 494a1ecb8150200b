"""The images, built with the Dockerfiles that users get, on a base of Debian's packages, without a registry.

Each is named by a hash of everything that goes into it, so an unchanged one is never built or imported again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devcluster import containers, packageindex, paths
from devcluster.commands import run
from devcluster.errors import CannotContinue, CommandFailed
from devcluster.paths import Layout

PREFIX = "localhost/chatstream"
SUITE = "trixie"
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
BUSYBOX = Path("/bin/busybox")
PAUSE_RECIPE = "1"
DEFAULT_MIRROR = "http://deb.debian.org/debian"
IGNORED = ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "build", "dist")
CERTIFICATES = Path("/etc/ssl/certs")
BUILD_SECONDS = 1200.0
KEPT = 3


@dataclass(frozen=True, slots=True)
class Image:
    """One image; its tag is the hash of its inputs."""

    name: str
    tag: str

    @property
    def repository(self) -> str:
        return f"{PREFIX}/{self.name}"

    @property
    def reference(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def archive(self) -> Path:
        return paths.cache() / "images" / f"{self.name}-{self.tag}.tar"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile and the paths below the repository that it copies from."""

    name: str
    dockerfile: str
    sources: tuple[str, ...]


REDIS = Recipe("redis", "devcluster/images/redis/Dockerfile", ())
SERVER = Recipe(
    "server",
    "server/Dockerfile",
    ("server", "requirements/build.txt", "requirements/server.txt", ".dockerignore"),
)
OPERATOR = Recipe(
    "operator",
    "operator/Dockerfile",
    ("operator", "requirements/build.txt", "requirements/operator.txt", ".dockerignore"),
)


RECIPES = (SERVER, OPERATOR, REDIS)


def digest_of(parts: Iterable[bytes]) -> str:
    """A short hash; parts are kept apart by their lengths."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def content(root: Path, sources: Iterable[str]) -> Iterator[bytes]:
    """Names, modes and bytes of the files in the sources, in a fixed order; missing ones count as such."""
    for source in sources:
        top = root / source
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in files:
            parts = path.relative_to(root).parts
            if path.is_file() and not any(part in IGNORED or part.endswith(".egg-info") for part in parts):
                yield f"{path.relative_to(root)}:{path.stat().st_mode & 0o111:o}".encode()
                yield path.read_bytes()


def base() -> Image:
    return Image("base", digest_of([SUITE.encode(), *(name.encode() for name in BASE_PACKAGES)]))


def pause() -> Image:
    return Image("pause", digest_of([PAUSE_RECIPE.encode(), BUSYBOX.read_bytes()]))


def of(recipe: Recipe) -> Image:
    """The image that the recipe makes of the files as they are now."""
    sources = (recipe.dockerfile, *recipe.sources)
    return Image(recipe.name, digest_of([base().tag.encode(), *content(paths.REPOSITORY, sources)]))


def find_mirror(sources: str) -> str:
    """The Debian archive (not security) that a machine's apt sources name, else the public one."""
    urls = [url.rstrip("/") for url in re.findall(r"https?://\S+", re.sub(r"(?m)^\s*#.*$", "", sources))]
    return next((url for url in urls if url.endswith("/debian")), DEFAULT_MIRROR)


def ensure_base() -> str:
    """The base image in buildah's storage."""
    image = base()
    if stored(image):
        return "already there"
    tarball = paths.cache() / "images" / f"base-{image.tag}.rootfs.tar"
    if not tarball.is_file():
        _debootstrap(tarball)
    container = buildah("from", "scratch").strip()
    try:
        buildah("add", "--quiet", container, tarball, "/")
        buildah(
            "config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container
        )
        buildah("commit", "--quiet", container, image.reference)
    finally:
        buildah("rm", container)
    return "built"


def ensure_pause() -> str:
    """The image that holds a pod's namespaces: one static program that sleeps."""
    image = pause()
    if image.archive.is_file():
        return "already there"
    container = buildah("from", "scratch").strip()
    try:
        buildah("copy", "--quiet", container, BUSYBOX, "/busybox")
        buildah(
            "config", "--user", "65535:65535", "--entrypoint", '["/busybox", "sleep", "infinity"]', container
        )
        buildah("commit", "--quiet", container, image.reference)
    finally:
        buildah("rm", container)
    _save(image)
    return "built"


def ensure(recipe: Recipe) -> tuple[Image, str]:
    """The recipe's image as an archive in the cache, and whether it was built."""
    image = of(recipe)
    if image.archive.is_file():
        return image, "already built"
    build(recipe, image)
    if of(recipe) != image:
        # Somebody edited a source meanwhile, so what was built may be neither the old nor the new.
        return ensure(recipe)
    _save(image)
    return image, "built"


def ensure_imported(layout: Layout, image: Image) -> str:
    """The image where the kubelet finds it."""
    if image.reference in containers.ctr(layout, "images", "list", "--quiet").split():
        return "already there"
    containers.ctr(layout, "images", "import", image.archive, timeout=300)
    return "imported"


def build(recipe: Recipe, image: Image) -> None:
    """The image in buildah's storage, on the base image, which must be there."""
    mounts = (f"{CERTIFICATES}:{CERTIFICATES}", f"{packageindex.write_settings(paths.cache())}:/etc/pip.conf")
    buildah(
        *("build", "--quiet", "--layers", "--network", "host", "--isolation", "chroot"),
        *("--build-arg", f"BASE_IMAGE={base().reference}"),
        *(word for mount in mounts for word in ("--volume", f"{mount}:ro")),
        *("--file", paths.REPOSITORY / recipe.dockerfile, "--tag", image.reference, paths.REPOSITORY),
    )


def _debootstrap(tarball: Path) -> None:
    tarball.parent.mkdir(parents=True, exist_ok=True)
    part = tarball.with_name(f".{os.getpid()}.{tarball.name}")
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.[ls]*"))]
    texts = [path.read_text() for path in files if path.is_file() and path.suffix in (".list", ".sources")]
    flags = ["--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", "--format=tar"]
    try:
        run(["mmdebstrap", *flags, SUITE, part, find_mirror("\n".join(texts))], timeout=BUILD_SECONDS)
    except CommandFailed as error:
        raise CannotContinue(
            f"Could not make the base image; is the Debian mirror reachable?\n{error}"
        ) from error
    part.replace(tarball)


def stored(image: Image) -> bool:
    """Whether buildah's storage has it."""
    argv = buildah_argv("images", "--quiet", image.reference)
    return run(argv, check=False).returncode == 0


def _save(image: Image) -> None:
    image.archive.parent.mkdir(parents=True, exist_ok=True)
    part = image.archive.with_name(f".{os.getpid()}.{image.archive.name}")
    part.unlink(missing_ok=True)
    buildah("push", "--quiet", image.reference, f"oci-archive:{part}:{image.reference}")
    part.replace(image.archive)


def forget_older(layout: Layout, image: Image) -> None:
    """Earlier contents of this image, everywhere; three are kept, for going back and forth."""
    archives = sorted(image.archive.parent.glob(f"{image.name}-*.tar"), key=lambda path: path.stat().st_mtime)
    for path in archives[:-KEPT]:
        old = Image(image.name, path.stem.rpartition("-")[2])
        containers.ctr(layout, "images", "remove", old.reference, check=False)
        run(buildah_argv("rmi", old.reference), check=False)
        path.unlink()


def buildah(*arguments: str | Path) -> str:
    """Run buildah on the storage in the cache; its output."""
    # What it leaves there when it is killed lies in the cache too.
    temporary = paths.cache() / "buildah" / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return run(buildah_argv(*arguments), env={"TMPDIR": str(temporary)}, timeout=BUILD_SECONDS).stdout


def buildah_argv(*arguments: str | Path) -> list[str | Path]:
    root = paths.cache() / "buildah"
    where: list[str | Path] = [
        "--root",
        root / "root",
        "--runroot",
        root / "run",
        "--storage-driver",
        "overlay",
    ]
    return ["buildah", *where, *arguments]


def remove_storage() -> None:
    """Unmount and delete buildah's storage; rmtree alone would stumble over its mounts."""
    root = paths.cache() / "buildah"
    containers.unmount_under(root)
    shutil.rmtree(root, ignore_errors=True)
