"""What is built: programs, certificates, images, and what the chart is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from devcluster import images, packageindex, paths, pki, programs, release
from devcluster.errors import DevclusterError
from devcluster.golang import parse_version
from devcluster.images import Image
from devcluster.kubeconfig import User


def test_versions_are_read_from_go_mod() -> None:
    text = "module x\n\nrequire (\n\tk8s.io/kubernetes v1.35.4 // indirect\n\tk8s.io/kube v0.1.0\n)\n"
    assert programs.read_version(text, "k8s.io/kubernetes") == "v1.35.4"
    with pytest.raises(DevclusterError, match="does not require y"):
        programs.read_version(text, "y")


def test_programs_are_cached_by_version_and_content() -> None:
    kubelet = programs.PROGRAMS["kubelet"]
    assert kubelet.path.name == f"kubelet-{kubelet.version}-{kubelet.content_hash()}"
    assert kubelet.content_hash() == programs.PROGRAMS["kube-proxy"].content_hash()
    assert kubelet.content_hash() != programs.PROGRAMS["etcd"].content_hash()


def test_kubernetes_is_told_its_version() -> None:
    assert "gitVersion=v1." in programs.ldflags(programs.PROGRAMS["kubelet"])
    assert programs.ldflags(programs.PROGRAMS["etcd"]) == "-s -w"


def test_the_users_go_settings_do_not_reach_the_build() -> None:
    environment = programs.build_environment(Path("/cache"))
    assert environment["GOTOOLCHAIN"] == "local"
    assert environment["CGO_ENABLED"] == "0"
    assert "-mod=readonly" in environment["GOFLAGS"]
    assert environment["GOOS"] == environment["GOARCH"] == environment["GODEBUG"] == ""


@pytest.mark.parametrize(
    ("text", "version"),
    [("go version go1.26.6 linux/amd64", (1, 26)), ("go version go1.9rc1 x", (1, 9)), ("devel", (0, 0))],
)
def test_go_versions(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


def test_subject_alternative_names_tell_addresses_from_names() -> None:
    assert (
        pki.build_san(["localhost", "10.0.0.1", "::1"])
        == "subjectAltName = DNS:localhost, IP:10.0.0.1, IP:::1"
    )


def test_groups_are_one_field_of_the_token_file() -> None:
    assert User("a", ("g", "h")).line("t") == 't,"a","a","g,h"'


def test_the_tag_changes_with_name_mode_and_bytes(tmp_path: Path) -> None:
    def tag() -> str:
        return images.digest_of(images.content(tmp_path, ["src"]))

    source = tmp_path / "src"
    source.mkdir()
    (source / "a.py").write_text("1")
    seen = [tag()]
    (source / "a.py").write_text("2")
    seen.append(tag())
    (source / "a.py").chmod(0o755)
    seen.append(tag())
    (source / "a.py").rename(source / "b.py")
    seen.append(tag())
    assert len(set(seen)) == 4
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "b.pyc").write_text("x")
    assert tag() == seen[-1]


def test_every_source_of_a_dockerfile_counts() -> None:
    for recipe in images.RECIPES:
        copied = [
            word
            for line in (paths.REPOSITORY / recipe.dockerfile).read_text().splitlines()
            if line.startswith("COPY ") and "--from" not in line
            for word in line.split()[1:-1]
        ]
        assert set(copied) <= set(recipe.sources)


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("URIs: http://m/debian\nURIs: http://m/debian-security\n", "http://m/debian"),
        ("deb https://m/x/debian/ bookworm main\n", "https://m/x/debian"),
        ("# deb http://old/debian x\ndeb http://m/debian-security x\n", images.DEFAULT_MIRROR),
    ],
)
def test_the_mirror_is_the_machines_own(sources: str, mirror: str) -> None:
    assert images.find_mirror(sources) == mirror


def test_the_environment_wins_over_pips_files_and_unknown_keys_stay_out() -> None:
    files = ["[global]\ntimeout = 1\nproxy = p\nfind-links = /x\n", "[global]\nproxy = q\n"]
    text = packageindex.build_settings({"PIP_TIMEOUT": "9", "PIP_TARGET": "/y"}, files)
    assert "timeout = 9" in text
    assert "proxy = q" in text
    assert "find-links" not in text
    assert "target" not in text


def test_the_chart_gets_the_images_built_here() -> None:
    made = {name: Image(name, "t") for name in ("server", "operator", "redis")}
    values = release.build_values(made)
    assert values["image"]["repository"] == "localhost/chatstream/operator"
    assert values["images"]["redis"] == {"repository": "localhost/chatstream/redis", "tag": "t"}
