"""The unit tests in the image: how they are run there, and how what a killed run left is told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster import cli, images, paths, processes, unit_image
from devcluster.errors import DevclusterError

ROOT = Path(__file__).resolve().parents[2]
OUR_START = processes.start_time(os.getpid()) or 0


def run_argv(environment: dict[str, str] | None = None) -> list[str]:
    arguments = ["-k", "a b"]
    built = unit_image.build_argv("chatstream-unit-1-2", Path("/repo"), environment or {}, arguments)
    return [str(word) for word in built]


def test_pytest_gets_its_arguments_word_by_word() -> None:
    argv = run_argv()
    assert argv[argv.index("chatstream-unit-1-2") :] == [
        *("chatstream-unit-1-2", "--", "sh", unit_image.SCRIPT, "-k", "a b")
    ]


def test_the_repository_is_mounted_read_only() -> None:
    argv = run_argv()
    assert [argv[index + 1] for index, word in enumerate(argv) if word == "--volume"] == [
        "/repo:/repository:ro"
    ]


def test_everything_in_the_container_ends_with_the_process_that_started_it() -> None:
    argv = run_argv()
    assert argv[:4] == ["setpriv", "--pdeathsig", "KILL", "unshare"]
    assert {"--pid", "--kill-child"} <= set(argv[: argv.index("buildah")])


def test_only_ci_of_the_environment_is_passed_on() -> None:
    argv = run_argv({"CI": "true", "PYTHONPATH": "/elsewhere"})
    assert [argv[index + 1] for index, word in enumerate(argv) if word == "--env"] == ["CI=true"]
    assert "--env" not in run_argv()


def test_the_script_and_the_folders_of_tests_exist() -> None:
    assert (ROOT / Path(unit_image.SCRIPT).relative_to("/repository")).is_file()
    assert all((ROOT / folder).is_dir() for folder in unit_image.FOLDERS)


def test_the_image_is_named_by_its_requirements_and_by_no_source() -> None:
    assert all((ROOT / source).is_file() for source in unit_image.RECIPE.sources)
    assert not any(source.startswith(("server", "operator", "tests")) for source in unit_image.RECIPE.sources)
    assert re.fullmatch(r"localhost/chatstream/unit:[0-9a-f]{16}", images.of(unit_image.RECIPE).reference)


def test_whatever_pip_fetches_is_pinned_by_hash() -> None:
    text = (ROOT / unit_image.RECIPE.dockerfile).read_text().replace("\\\n", "")
    installs = [line for line in text.splitlines() if " install " in line and "/pip" in line]
    assert len(installs) + 1 == len(re.findall(r"^RUN ", text, re.MULTILINE))
    assert all("--require-hashes" in line and "--only-binary=:all:" in line for line in installs)


def test_a_container_is_abandoned_when_its_process_is_gone() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(timeout=20)
    gone, later = unit_image.name_for(ended.pid, 1), unit_image.name_for(os.getpid(), OUR_START - 1)
    ours = unit_image.name_for(os.getpid(), OUR_START)
    others = ["base-working-container", "chatstream-unit-x-1", "chatstream-unit-1", "mine-1-2"]
    assert unit_image.find_abandoned([gone, ours, later, *others]) == [gone, later]


def test_buildahs_own_folder_goes_with_the_cache() -> None:
    assert unit_image.scratch("x").is_relative_to(paths.cache() / "buildah")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_unwinds_like_ctrl_c(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), unit_image.ended_by_signals():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_the_other_commands_take_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["status", "-q"])
    assert "status takes no arguments" in capsys.readouterr().err


def test_the_status_of_pytest_is_the_commands() -> None:
    assert cli.guarded(lambda: 5, after="") == 5
    assert cli.guarded(lambda: None, after="") == 0


def test_a_failure_is_told_with_what_comes_after(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise DevclusterError("no disk")

    assert cli.guarded(fail, after="begin anew") == 1
    assert capsys.readouterr().err == "\nno disk\n\nbegin anew\n"
