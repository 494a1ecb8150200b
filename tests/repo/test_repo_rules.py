"""The rules of tools/repository.py: each sees its fault, and this repository breaks none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import repository

# In pieces: this file is read by the rules too.
INDEX = "https://files." + "pythonhosted.org/packages"
FOLDER = "/wo" + "rk/main"
PYPROJECT = (
    '[project]\nname = "x"\ndependencies = ["Some.Thing[extra]>=1.2,<2"]\n[build-system]\nrequires = []\n'
)
PINNED = "some-thing[extra]==1.3 \\\n    --hash=sha256:00\n"
WORKSPACE = '[dependency-groups]\ndev = ["tool>=1"]\n'


def requirements(**changes: str) -> dict[str, str]:
    """A repository whose pins are right, with some of its requirements files changed."""
    files = {
        "pyproject.toml": WORKSPACE,
        "server/pyproject.toml": PYPROJECT,
        "operator/pyproject.toml": PYPROJECT,
        "requirements/server.txt": PINNED,
        "requirements/operator.txt": PINNED,
        "requirements/dev.txt": PINNED + "tool==2 \\\n    --hash=sha256:01\n",
        "requirements/build.txt": "",
    }
    return {**files, **{f"requirements/{name}.txt": text for name, text in changes.items()}}


@pytest.mark.parametrize("check", repository.CHECKS)
def test_this_repository_breaks_no_rule(check: repository.Check) -> None:
    assert list(check(repository.read_files(repository.ROOT))) == []


@pytest.mark.parametrize("text", [INDEX, "pip --index-" + "url x", f"cd {FOLDER}", "cat /ro" + "ot/x"])
def test_names_of_indexes_and_machine_folders_are_found(text: str) -> None:
    [problem] = repository.find_forbidden({"a/b.txt": f"first\n{text}\n"})
    assert problem.startswith("a/b.txt:2: names ")


@pytest.mark.parametrize(
    "text", ["/var/lib/chatstream-dev", "--no-emit-index-url", "./work/x", "https://x.io/work/1"]
)
def test_other_addresses_and_folders_are_fine(text: str) -> None:
    assert list(repository.find_forbidden({"a": text})) == []


@pytest.mark.parametrize("name", ["operator/__init__.py", "tests/__init__.py", "tests/a/b/__init__.py"])
def test_a_package_file_that_shadows_is_found(name: str) -> None:
    fine = ["operator/chatstream_operator/__init__.py", "server/chatstream/__init__.py"]
    assert list(repository.find_shadowing(dict.fromkeys([*fine, name], ""))) == [f"{name}: must not be there"]


def test_right_pins_pass() -> None:
    assert list(repository.find_unpinned(requirements())) == []


@pytest.mark.parametrize(
    "text",
    ["", PINNED.replace("1.3", "2.0"), PINNED.replace("some-thing", "other")],
    ids=["none", "old", "other"],
)
def test_a_dependency_that_is_not_pinned_is_found(text: str) -> None:
    [problem] = repository.find_unpinned(requirements(server=text))
    assert problem.startswith("requirements/server.txt: Some.Thing[extra]<2,>=1.2 is pinned to ")


def test_a_pin_without_a_hash_is_found() -> None:
    problems = list(repository.find_unpinned(requirements(operator="some-thing==1.3\n")))
    assert problems == ["requirements/operator.txt: a version without a hash"]


def test_a_tool_that_is_not_pinned_is_found() -> None:
    [problem] = repository.find_unpinned(requirements(dev=PINNED))
    assert "tool>=1" in problem


@pytest.mark.parametrize(
    "target", ["page.md", "../a.md", "page.md#two-words", "#here-it-is", "../docs", "sub/"]
)
def test_links_that_lead_somewhere(target: str) -> None:
    files = {
        "docs/index.md": f"# Here: it is!\n[a]({target})\n",
        "docs/page.md": "## Two words\n",
        "docs/sub/x.md": "",
        "a.md": "",
    }
    assert list(repository.find_broken_links(files)) == []


@pytest.mark.parametrize("target", ["gone.md", "../gone.md", "index.md#nowhere", "#nowhere", "../gone/"])
def test_links_that_lead_nowhere(target: str) -> None:
    files = {"docs/index.md": f"# Here\n[a]({target}) and [b](https://example.com/gone)\n"}
    assert list(repository.find_broken_links(files)) == [f"docs/index.md: the link {target} leads nowhere"]


def test_examples_in_a_document_are_not_links() -> None:
    assert list(repository.find_broken_links({"a.md": "```\n[a](gone.md)\n```\n"})) == []


def test_a_page_that_the_index_forgets_is_found() -> None:
    files = {"docs/index.md": "[a](a.md)", "docs/a.md": "", "docs/b.md": "", "README.md": ""}
    assert list(repository.find_unlisted_pages(files)) == ["docs/b.md: docs/index.md does not lead to it"]


def test_a_make_target_that_is_not_there_is_found() -> None:
    files = {
        "Makefile": "up: x\n\ttrue\n",
        "a.md": "Run `make up`, then:\n```\nmake down\n```\nand make sense.\n",
    }
    assert list(repository.find_unknown_targets(files)) == ["a.md: the Makefile has no target down"]


def test_files_are_those_of_git_and_the_new_ones(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("ignored\n")
    for name in ("ignored", "new", "known"):
        (tmp_path / name).write_text(name)
    subprocess.run(["git", "add", "known"], cwd=tmp_path, check=True)
    assert repository.read_files(tmp_path).keys() == {".gitignore", "known", "new"}
    (tmp_path / "new").write_text(INDEX)
    (tmp_path / "link").symlink_to("new")
    assert [p.partition(":")[0] for p in repository.find_forbidden(repository.read_files(tmp_path))] == [
        "new"
    ]
