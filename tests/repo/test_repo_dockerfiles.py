"""The Dockerfiles, as text: what makes images small in rights; `make up` builds them."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ["server", "operator"]


def instructions(name: str) -> list[tuple[str, str]]:
    """The instructions with their arguments, continued lines joined, comments left out."""
    text = (ROOT / name / "Dockerfile").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def arguments(found: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for each, rest in found if each == word]


def last_stage(name: str) -> list[tuple[str, str]]:
    found = instructions(name)
    starts = [index for index, (word, _) in enumerate(found) if word == "FROM"]
    return found[starts[-1] :]


@pytest.mark.parametrize("name", IMAGES)
def test_the_base_is_an_argument_with_a_public_default(name: str) -> None:
    assert instructions(name)[0] == ("ARG", "BASE_IMAGE=docker.io/library/python:3.13-slim-trixie")
    assert {rest.split()[0] for rest in arguments(instructions(name), "FROM")} == {"${BASE_IMAGE}"}


@pytest.mark.parametrize("name", IMAGES)
def test_everything_runs_without_a_shell(name: str) -> None:
    for word, rest in instructions(name):
        if word in {"RUN", "ENTRYPOINT"}:
            assert json.loads(rest), rest


@pytest.mark.parametrize("name", IMAGES)
def test_whatever_pip_fetches_is_pinned_by_hash(name: str) -> None:
    installs = [
        json.loads(rest) for word, rest in instructions(name) if word == "RUN" and '"install"' in rest
    ]
    assert len(installs) == 3
    for command in installs:
        assert "--no-index" in command or {"--require-hashes", "--only-binary=:all:"} <= set(command)


@pytest.mark.parametrize("name", IMAGES)
def test_dependencies_have_a_layer_apart_from_the_source(name: str) -> None:
    found = instructions(name)
    source = next(
        index for index, (word, rest) in enumerate(found) if (word, rest.split()[0]) == ("COPY", name)
    )
    assert any("--require-hashes" in rest and f"/{name}.txt" in rest for _, rest in found[:source])
    assert not any("--require-hashes" in rest for _, rest in found[source:])


@pytest.mark.parametrize("name", IMAGES)
def test_the_result_is_only_the_environment_run_by_a_number(name: str) -> None:
    found = last_stage(name)
    assert arguments(found, "COPY") == ["--from=build /opt/chatstream /opt/chatstream"]
    assert arguments(found, "USER") == ["10001:10001"]
    assert arguments(found, "RUN") + arguments(found, "ADD") == []
    assert 'org.opencontainers.image.licenses="Apache-2.0"' in arguments(found, "LABEL")[0]


def test_the_entry_points_exist() -> None:
    assert dict(last_stage("server"))["ENTRYPOINT"] == '["chatstream"]'
    assert dict(last_stage("operator"))["ENTRYPOINT"] == '["python", "-m", "chatstream_operator"]'
    server = tomllib.loads((ROOT / "server" / "pyproject.toml").read_text())
    assert "chatstream" in server["project"]["scripts"]


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_copied_is_in_the_build_context(name: str) -> None:
    """.dockerignore leaves everything out but what it names."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    named = [PurePosixPath(line[1:]) for line in ignored if line.startswith("!")]
    assert "*" in ignored
    for word, rest in instructions(name):
        if word == "COPY" and "--from" not in rest:
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists()
                assert any(PurePosixPath(source).match(str(pattern)) for pattern in named), source


def test_the_build_backend_is_the_one_of_both_packages() -> None:
    pinned = re.findall(r"^hatchling==\S+", (ROOT / "requirements" / "build.txt").read_text(), re.MULTILINE)
    for name in IMAGES:
        project = tomllib.loads((ROOT / name / "pyproject.toml").read_text())
        assert project["build-system"]["requires"] == pinned
