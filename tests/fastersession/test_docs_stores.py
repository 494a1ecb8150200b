"""What docs/sessions.md shows of stores runs as it stands, the suite also for people with other tools."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastersession import Lease, MemoryStore, SessionStore
from fastersession.testing import StoreConformance

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", ROOT.joinpath("docs", "sessions.md").read_text(), re.DOTALL)


def example(word: str) -> str:
    (found,) = [text for text in EXAMPLES if word in text]
    return str(found)


async def test_the_encrypted_store_of_the_documents_can_be_made() -> None:
    names: dict[str, Any] = {}
    exec(compile(example("EncryptedStore"), "docs/sessions.md", "exec"), names)
    assert len(names["keys"]) == 2
    await names["store"].aclose()


@pytest.mark.parametrize(
    ("options", "before"),
    [
        (
            [
                "-p",
                "no:anyio",
                "-o",
                "asyncio_mode=auto",
                "-o",
                "asyncio_default_fixture_loop_scope=function",
            ],
            "",
        ),
        (["-p", "no:asyncio"], "import pytest\n\npytestmark = pytest.mark.anyio\n"),
    ],
    ids=["pytest-asyncio", "anyio"],
)
def test_the_suite_runs_as_the_documents_say(tmp_path: Path, options: list[str], before: str) -> None:
    tmp_path.joinpath("test_mine.py").write_text(before + example("StoreConformance"))
    backend = "import pytest\n\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    tmp_path.joinpath("conftest.py").write_text(backend)
    tmp_path.joinpath("pytest.ini").write_text("[pytest]\n")
    path = [str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 60
    assert "skipped" not in done.stdout


async def test_a_suite_that_is_given_no_clock_waits() -> None:
    """What most stores need: real seconds."""

    class Suite(StoreConformance):
        async def make_store(self) -> SessionStore:
            return MemoryStore()

    store = await Suite().make_store()
    assert await Suite().make_twin(store) is store
    await store.load("s", lease=Lease("a", 0.05))
    await Suite().let_pass(0.1)
    await store.load("s", lease=Lease("b", 0.05))
    with pytest.raises(NotImplementedError):
        await StoreConformance().make_store()
