"""Rules that hold over the whole repository: `python -m tools.repository` prints what breaks them.

No file names a package index or a folder of one machine; nothing shadows the standard library; what the
requirements pin is what the packages ask for; every link in the documents leads somewhere, and every `make`
target in them exists.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# In pieces, as this file is one of those that are read.
FORBIDDEN = {
    "a package index": re.compile(
        r"\b(?:pypi\.|files\.pythonhosted\.|registry\.npmjs\.|registry\.yarnpkg\.|crates\.)"
        r"(?:org|io|com)\b"
        r"|\b(?:proxy|sum)\.golang" + r"\.org\b|--(?:extra-)?index-" + r"url\b"
    ),
    "a folder of one machine": re.compile(r"(?<![\w.-])/(?:work|root)" + r"/\w|/tmp/" + r"w/|/home/" + r"\w"),
}
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
MAKE = re.compile(r"(?:`|^)make ([a-z][a-z0-9-]*)", re.MULTILINE)
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)

Files = Mapping[str, str]
Check = Callable[[Files], Iterator[str]]


def read_files(root: Path) -> dict[str, str]:
    """Every text file that git tracks or would: by its path, with / between the parts."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    found = {}
    for name in filter(None, names):
        path = root / name
        if path.is_file() and not path.is_symlink():
            found[name] = path.read_bytes().decode("utf-8", "replace")
    return found


def find_forbidden(files: Files) -> Iterator[str]:
    for name, text in files.items():
        for what, pattern in FORBIDDEN.items():
            for hit in pattern.finditer(text):
                line = text.count("\n", 0, hit.start()) + 1
                yield f"{name}:{line}: names {what}: {hit.group()}"


def find_shadowing(files: Files) -> Iterator[str]:
    """Package files that would hide the standard `operator`, or break importing tests by their path."""
    for name in files:
        if name == "operator/__init__.py" or (name.startswith("tests/") and name.endswith("/__init__.py")):
            yield f"{name}: must not be there"


def find_unpinned(files: Files) -> Iterator[str]:
    """What a pyproject asks for and its requirements do not pin with a version that fits and a hash."""
    wanted = {name: _dependencies(files[f"{name}/pyproject.toml"]) for name in ("server", "operator")}
    development = tomllib.loads(files["pyproject.toml"])["dependency-groups"]["dev"]
    wanted["dev"] = [*wanted["server"], *wanted["operator"], *development]
    wanted["build"] = tomllib.loads(files["server/pyproject.toml"])["build-system"]["requires"]
    for name, dependencies in wanted.items():
        text = files[f"requirements/{name}.txt"]
        pins = {canonicalize_name(found): version for found, version in PIN.findall(text)}
        for dependency in map(Requirement, dependencies):
            version = pins.get(canonicalize_name(dependency.name))
            if version is None or not dependency.specifier.contains(version, prereleases=True):
                yield f"requirements/{name}.txt: {dependency} is pinned to {version}: run `make requirements`"
        if text.count("==") > text.count("--hash=sha256:"):
            yield f"requirements/{name}.txt: a version without a hash"


def _dependencies(pyproject: str) -> list[str]:
    dependencies: list[str] = tomllib.loads(pyproject)["project"]["dependencies"]
    return dependencies


def slug(heading: str) -> str:
    """The anchor that a heading gets, as the usual renderers make it."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def find_broken_links(files: Files) -> Iterator[str]:
    for name, text in _documents(files):
        for hit in LINK.finditer(FENCE.sub("", text)):
            target = hit.group(1) or hit.group(2)
            if not re.match(r"[a-z]+:", target) and not _leads_somewhere(files, name, target):
                yield f"{name}: the link {target} leads nowhere"


def _leads_somewhere(files: Files, document: str, target: str) -> bool:
    path, _, anchor = target.partition("#")
    other = _join(document, path) if path else document
    is_folder = any(name.startswith(f"{other}/") for name in files)
    if other not in files:
        return is_folder and not anchor
    return not anchor or anchor in {slug(found) for found in HEADING.findall(FENCE.sub("", files[other]))}


def _join(document: str, path: str) -> str:
    parts = document.split("/")[:-1]
    for part in path.rstrip("/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def find_unlisted_pages(files: Files) -> Iterator[str]:
    for name in files:
        page = name.removeprefix("docs/")
        is_page = page not in (name, "index.md") and page.endswith(".md")
        if is_page and f"({page})" not in files["docs/index.md"]:
            yield f"{name}: docs/index.md does not lead to it"


def find_unknown_targets(files: Files) -> Iterator[str]:
    targets = set(TARGET.findall(files["Makefile"]))
    for name, text in _documents(files):
        for target in MAKE.findall(text):
            if target not in targets:
                yield f"{name}: the Makefile has no target {target}"


def _documents(files: Files) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in files.items() if name.endswith(".md"))


CHECKS: tuple[Check, ...] = (
    find_forbidden,
    find_shadowing,
    find_unpinned,
    find_broken_links,
    find_unlisted_pages,
    find_unknown_targets,
)


def main(root: Path = ROOT) -> int:
    files = read_files(root)
    problems = [problem for check in CHECKS for problem in check(files)]
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
