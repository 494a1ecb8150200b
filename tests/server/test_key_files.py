"""Keys in files: read at the start, followed while serving, and never shown."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from chatstream.app.keys import POLL, KeyFile, Keys, read_keys
from chatstream.settings import ConfigurationError, SessionSettings
from fastersession.keys import fingerprint
from tests.server.support.virtual import run_virtual

OLD, NEW, OTHER = "the-old-key-of-16+bytes", "the-new-key-of-16+bytes", "another-key-of-16+bytes"


def write(path: Path, keys: object) -> Path:
    path.write_text(json.dumps(keys))
    return path


def prints(*keys: str) -> tuple[str, ...]:
    return tuple(fingerprint(key) for key in keys)


def from_file(path: Path) -> Keys:
    return read_keys(SessionSettings(secret_keys_file=path))


def test_26d_keys_come_from_the_settings_or_from_files(tmp_path: Path) -> None:
    listed = read_keys(SessionSettings.model_validate({"secret_keys": [NEW, OLD]}))
    assert listed.session.fingerprints() == prints(NEW, OLD)
    assert listed.encryption is None
    files = read_keys(
        SessionSettings(
            secret_keys_file=write(tmp_path / "session-keys", [NEW]),
            encryption_keys_file=write(tmp_path / "encryption-keys", [OTHER, OLD]),
        )
    )
    assert files.session.fingerprints() == prints(NEW)
    assert files.encryption is not None
    assert files.encryption.fingerprints() == prints(OTHER, OLD)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no JSON list of strings"),
        (b"hunter2-hunter2-hunter2", "holds no JSON list of strings"),
        (b'"hunter2-hunter2-hunter2"', "holds no JSON list of strings"),
        (b'["hunter2-hunter2-hunter2", 1]', "holds no JSON list of strings"),
        (b"\xffhunter2-hunter2-hunter2", "holds no JSON list of strings"),
        (b"[" * 100_000, "holds no JSON list of strings"),
        (b"[]", "there is no secret key"),
        (b'["hunter2"]', "needs 16 bytes"),
        (b'["hunter2-hunter2-hunter2\\ud800"]', "UTF-8"),
        (b" " * 1_048_577, "more than 1048576 bytes"),
    ],
)
def test_a_file_without_keys_ends_the_start_with_its_name_and_shows_nothing(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "session-keys"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        from_file(path)
    assert str(error.value).startswith(f"sessions.secret_keys_file: {path}: ")
    assert says in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_file_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # which a plain open would wait for
    for name, says in (("missing", "No such file"), (".", "is no file"), ("pipe", "is no file")):
        with pytest.raises(ConfigurationError, match=says):
            from_file(tmp_path / name)


def test_26e_a_file_that_changes_changes_the_keys_within_its_interval(tmp_path: Path) -> None:
    async def main() -> None:
        path = write(tmp_path / "session-keys", [OLD])
        keys = from_file(path)
        keys.follower.start()
        await asyncio.sleep(POLL / 2)
        write(path, [OLD, NEW])
        await asyncio.sleep(POLL)
        assert keys.session.fingerprints() == prints(OLD, NEW)
        write(path, [NEW, OLD])
        await asyncio.sleep(POLL)
        assert keys.session.fingerprints() == prints(NEW, OLD)
        await keys.follower.stop()
        write(path, [OTHER])
        await asyncio.sleep(3 * POLL)
        assert keys.session.fingerprints() == prints(NEW, OLD)

    run_virtual(main())


def test_26f_a_secrets_links_are_followed_although_no_time_changes(tmp_path: Path) -> None:
    """Kubernetes: session-keys -> ..data/session-keys, and ..data -> a folder, replaced whole."""
    for folder, keys in (("..1", [OLD]), ("..2", [NEW])):
        (tmp_path / folder).mkdir()
        os.utime(write(tmp_path / folder / "session-keys", keys), (1, 1))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "session-keys").symlink_to("..data/session-keys")
    file = KeyFile(tmp_path / "session-keys", "sessions.secret_keys_file")
    (tmp_path / "next").symlink_to("..2")
    (tmp_path / "next").rename(tmp_path / "..data")
    file.follow()
    assert file.ring.fingerprints() == prints(NEW)


def test_26g_a_file_gone_bad_is_logged_once_and_the_keys_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "session-keys", [OLD])
    file = KeyFile(path, "sessions.secret_keys_file")

    def follow(times: int = 3) -> list[str]:
        """What is logged while the file stays as it is."""
        caplog.clear()
        for _ in range(times):
            file.follow()
        return [
            f"{record.levelname} {record.msg} {getattr(record, 'error', '')}" for record in caplog.records
        ]

    with caplog.at_level("DEBUG"):
        assert follow() == []
        path.write_text("hunter2-hunter2-hunter2")
        assert follow() == [
            f"ERROR keys not read, the former ones stay {path}: holds no JSON list of strings"
        ]
        write(path, ["hunter2"])
        assert len(follow()) == 1
        path.unlink()
        assert follow() == [f"ERROR keys not read, the former ones stay {path}: No such file or directory"]
        assert file.ring.fingerprints() == prints(OLD)
        write(path, [NEW])
        assert follow() == ["INFO keys read "]
        assert file.ring.fingerprints() == prints(NEW)
        assert "hunter2" not in caplog.text
