"""The chart against a real API server: all options admitted; install, uninstall, install again elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster import programs
from devcluster.control_plane import throwaway
from helm import ALL_OPTIONS, CHART, ROOT, Helm

CRD = "chatstreams.chatstream.dev"
READY = CHART / "files" / "tests" / "ready.py"
EXAMPLE = {
    "apiVersion": "chatstream.dev/v1alpha1",
    "kind": "ChatStream",
    "metadata": {"name": "kept", "namespace": "default"},
    "spec": {"engine": {"type": "Demo"}},
}
HEREDOC = re.compile(r"<<'?YAML'?\n(.*?)\n *YAML$", re.MULTILINE | re.DOTALL)
# What belongs to a release and must go with it, wherever it is.
OWN_KINDS = "deployments,services,serviceaccounts,clusterroles,clusterrolebindings,pods"
# The edge of what the account may not do is worth as much as what it may.
ALLOWED = [
    ("list", "chatstreams.chatstream.dev"),
    ("patch", "chatstreams.chatstream.dev/status"),
    ("patch", "deployments.apps"),
    ("create", "secrets"),
    ("patch", "networkpolicies.networking.k8s.io"),
    ("create", "events.events.k8s.io"),
]
REFUSED = [
    ("create", "chatstreams.chatstream.dev"),
    ("delete", "chatstreams.chatstream.dev"),
    ("create", "pods"),
    ("patch", "events.events.k8s.io"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
    ("create", "serviceaccounts/token"),
    ("patch", "customresourcedefinitions.apiextensions.k8s.io"),
    ("delete", "namespaces"),
]


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server with nothing installed, and the two programs that talk to it."""

    helm: Helm
    kubectl: Path
    kubeconfig: Path
    server: str
    authority: Path

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        argv = [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=50, check=False)

    def must(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def names(self, release: str) -> list[str]:
        """Everything of a release but the definition, as kind/name."""
        label = f"app.kubernetes.io/instance={release}"
        return self.must("get", OWN_KINDS, "--all-namespaces", "-l", label, "-o", "name").split()

    def owner(self) -> tuple[str, str]:
        """The release that the definition belongs to: namespace and name."""
        crd = json.loads(self.must("get", "crd", CRD, "-o", "json"))
        noted: dict[str, Any] = crd["metadata"]["annotations"]
        return noted["meta.helm.sh/release-namespace"], noted["meta.helm.sh/release-name"]

    def install(self, release: str, namespace: str, *arguments: str) -> str:
        where = ("--namespace", namespace, "--create-namespace")
        return self.helm.must("install", release, str(CHART), *where, *arguments)

    def uninstall(self, release: str, namespace: str) -> None:
        self.helm.must("uninstall", release, "--namespace", namespace)

    def may(self, account: str, verb: str, resource: str) -> bool:
        """Whether the account may do this everywhere; `resource` may name a subresource after a slash."""
        kind, _, sub = resource.partition("/")
        argv = ("auth", "can-i", verb, kind, f"--subresource={sub}", f"--as={account}", "--all-namespaces")
        return self.run(*argv).stdout.strip() == "yes"

    def clear(self) -> None:
        for release in json.loads(self.helm.must("list", "--all-namespaces", "--output", "json")):
            self.uninstall(release["name"], release["namespace"])
        self.must("delete", "crd", CRD, "--ignore-not-found", "--timeout=20s")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with throwaway() as plane:
        helm = Helm(programs.ensure("helm"), tmp_path_factory.mktemp("helm"), plane.kubeconfig)
        yield Cluster(helm, programs.ensure("kubectl"), plane.kubeconfig, plane.server, plane.authority)


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Cluster]:
    """The same API server for every test, with no release and no definition before and after."""
    yield cluster
    cluster.clear()


@pytest.fixture
def kept(empty: Cluster) -> Cluster:
    """A release came and went; what stayed is the definition, and a ChatStream of that time."""
    empty.install("first", "first-namespace")
    empty.must("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=20s")
    empty.must("apply", "-f", "-", stdin=json.dumps(EXAMPLE))
    empty.uninstall("first", "first-namespace")
    return empty


def test_the_api_server_admits_every_option(empty: Cluster) -> None:
    where = ("--namespace", "default")
    rendered = empty.helm.must("template", "chatstream", str(CHART), *where, "--values", str(ALL_OPTIONS))
    applied = empty.must("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=rendered)
    assert f"customresourcedefinition.apiextensions.k8s.io/{CRD} serverside-applied" in applied
    assert "deployment.apps/chat-operator serverside-applied" in applied


def test_restricted_pod_security_admits_the_chart(empty: Cluster) -> None:
    empty.must("create", "namespace", "restricted")
    empty.must("label", "namespace", "restricted", "pod-security.kubernetes.io/enforce=restricted")
    rendered = empty.helm.must("template", "chatstream", str(CHART), "--namespace", "restricted")
    done = empty.run("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=rendered)
    # A Deployment that breaks the standard is only warned of; a bare pod, as that of the test, is refused.
    assert done.returncode == 0, done.stderr
    assert "would violate" not in done.stderr
    assert "pod/chatstream-operator-test serverside-applied" in done.stdout


def test_install_gives_the_operator_its_rights_and_no_more(empty: Cluster) -> None:
    notes = empty.install("chatstream", "chatstream-system")
    assert "rollout status deployment/chatstream-operator" in notes
    assert len(empty.names("chatstream")) == 7
    account = "system:serviceaccount:chatstream-system:chatstream-operator"
    asked = [*ALLOWED, *REFUSED]
    allowed = [(verb, resource) for verb, resource in asked if empty.may(account, verb, resource)]
    assert allowed == ALLOWED


def test_the_tests_script_finds_the_definition_served_to_the_account(empty: Cluster, tmp_path: Path) -> None:
    """Against the real API server, with a token of the account; no operator runs here, and it says so."""
    empty.install("chatstream", "chatstream-system")
    token = empty.must("create", "token", "chatstream-operator", "--namespace", "chatstream-system")
    (tmp_path / "token").write_text(token.strip())
    shutil.copy(empty.authority, tmp_path / "ca.crt")
    script = f"import runpy, pathlib; m = runpy.run_path({str(READY)!r})"
    call = f"m['main']({empty.server!r}, 'http://127.0.0.1:1', pathlib.Path({str(tmp_path)!r}), 3.0)"
    argv = [sys.executable, "-c", f"{script}; raise SystemExit({call})"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert "ok: the API server serves ChatStreams: 0 in this cluster" in done.stdout, done
    assert "failed: operator: " in done.stdout
    assert done.returncode == 1


def test_a_second_operator_is_refused(empty: Cluster) -> None:
    empty.install("chatstream", "chatstream-system")
    where = ("--namespace", "default", "--set", "crds.install=false")
    refused = empty.helm.run("install", "second", str(CHART), *where)
    assert refused.status != 0
    assert "one ChatStream operator serves a whole cluster" in refused.err
    assert "release chatstream-system/chatstream" in refused.err
    empty.helm.must("upgrade", "chatstream", str(CHART), "--namespace", "chatstream-system")


def test_uninstall_keeps_the_definition_and_what_was_made_of_it(kept: Cluster) -> None:
    assert kept.names("first") == []
    assert kept.must("get", "chatstreams", "-A", "-o", "name").split() == ["chatstream.chatstream.dev/kept"]


def test_the_same_release_goes_on_after_an_uninstall(kept: Cluster) -> None:
    kept.install("first", "first-namespace")
    assert kept.owner() == ("first-namespace", "first")


@pytest.mark.parametrize(("release", "namespace"), [("second", "first-namespace"), ("first", "elsewhere")])
def test_another_release_or_namespace_is_refused_and_leaves_nothing(
    kept: Cluster, release: str, namespace: str
) -> None:
    where = ("--namespace", namespace, "--create-namespace")
    refused = kept.helm.run("install", release, str(CHART), *where)
    assert refused.status != 0
    assert f'CustomResourceDefinition "{CRD}"' in refused.err
    assert "invalid ownership metadata" in refused.err
    assert kept.names(release) == []


def test_the_remedy_take_ownership(kept: Cluster) -> None:
    kept.install("second", "second-namespace", "--take-ownership")
    assert kept.owner() == ("second-namespace", "second")
    kept.uninstall("second", "second-namespace")
    assert kept.must("get", "chatstreams", "-A", "-o", "name")


def test_the_remedy_without_the_definition(kept: Cluster) -> None:
    notes = kept.install("second", "second-namespace", "--set", "crds.install=false")
    assert "does not upgrade the definition" in notes
    assert kept.owner() == ("first-namespace", "first")
    # With each upgrade the definition is then the user's to apply.
    kept.must("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds" / f"{CRD}.yaml"))


def test_a_packed_chart_installs_without_the_repository(empty: Cluster, tmp_path: Path) -> None:
    empty.helm.must("package", str(CHART), "--destination", str(tmp_path))
    [archive] = tmp_path.iterdir()
    where = ("--namespace", "packed", "--create-namespace")
    empty.helm.must("install", "chatstream", str(archive), *where)
    assert empty.owner() == ("packed", "chatstream")


def test_an_upgrade_upgrades_the_definition(empty: Cluster) -> None:
    empty.install("chatstream", "chatstream-system")
    empty.must("annotate", "crd", CRD, "example.com/note=mine")
    set_annotation = ("--set", "crds.annotations.example\\.com/owner=platform")
    empty.helm.must("upgrade", "chatstream", str(CHART), "--namespace", "chatstream-system", *set_annotation)
    annotations = json.loads(empty.must("get", "crd", CRD, "-o", "json"))["metadata"]["annotations"]
    assert annotations["example.com/owner"] == "platform"
    assert annotations["example.com/note"] == "mine"


def test_every_documented_resource_is_admitted(empty: Cluster) -> None:
    notes = empty.install("chatstream", "chatstream-system")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    examples = yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"])
    documents = [hit for text in (notes, (ROOT / "README.md").read_text()) for hit in HEREDOC.findall(text)]
    assert len(documents) == 2
    for resource in [*map(textwrap.dedent, documents), *map(json.dumps, examples)]:
        empty.must("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=resource)
