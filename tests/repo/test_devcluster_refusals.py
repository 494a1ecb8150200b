"""Where it cannot go on, it says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devcluster import packages, paths, preflight
from devcluster.errors import CannotContinue
from devcluster.preflight import Listener

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"system": "Darwin"}, "runs on Linux; this is Darwin"),
        ({"machine": "riscv64"}, "Unsupported processor riscv64"),
        ({"user": 1000}, "run it as root"),
    ],
)
def test_machines_that_will_not_do(changes: Json, said: str) -> None:
    with pytest.raises(CannotContinue, match=said):
        preflight.check_machine(**{"system": "Linux", "machine": "x86_64", "user": 0, **changes})


def test_too_little_space_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(CannotContinue, match=f"{tmp_path} has .* GiB free"):
        preflight.check_space(tmp_path / "not" / "yet", 1e9)


def test_listening_sockets_are_read_from_the_kernels_table() -> None:
    text = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
        "   1: 0100007F:20FB 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n"
    )
    expected = "127.0.0.1" if sys.byteorder == "little" else "1.0.0.127"
    assert list(preflight.parse_listeners(text)) == [Listener(expected, 8443, 4711)]


def test_only_listeners_on_the_same_address_are_in_the_way() -> None:
    other, same, wide = Listener("10.0.0.9", 53, 1), Listener("127.0.0.1", 2379, 2), Listener("::", 53, 3)
    wanted = [("10.96.0.10", 53), ("127.0.0.1", 2379)]
    assert preflight.in_the_way([other, same, wide], wanted) == [same, wide]
    assert preflight.in_the_way([Listener("10.0.0.9", 6443, 4)], [("0.0.0.0", 6443)]) != []


def test_any_nginx_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = set(packages.PACKAGES)
    assert packages.missing(everything) == []
    assert packages.missing(everything - {"runc"}) == ["runc"]
    (tmp_path / "nginx").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert packages.missing(everything - {"nginx-light"}) == []
    monkeypatch.setenv("PATH", os.devnull)
    assert packages.missing(everything - {"nginx-light"}) == ["nginx-light"]


def test_a_port_in_use_names_its_user_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = rf"Port {port} is in use by \S+ \(pid {os.getpid()}\): choose another with `make up PORT=...`"
        with pytest.raises(CannotContinue, match=said):
            preflight.check_ports([("127.0.0.1", port)], port)
        with pytest.raises(CannotContinue, match="stop it first"):
            preflight.check_ports([("127.0.0.1", port)], port + 1)
    preflight.check_ports([("127.0.0.1", port)], port)


def run_command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devcluster", *words],
        cwd=paths.REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_the_user_must_change_ends_with_2() -> None:
    done = run_command("up", PORT="https")
    assert done.returncode == 2
    assert done.stderr == "\nCannot go on: PORT=https is no number.\n"


def test_env_can_be_evaluated_by_a_shell() -> None:
    lines = run_command("env").stdout.splitlines()
    assert lines == [
        f"export KUBECONFIG={paths.KUBECONFIG}",
        f'export PATH={paths.CLUSTER.bin}:"$PATH"',
    ]
