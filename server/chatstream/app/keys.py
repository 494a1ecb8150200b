"""Secret keys from the settings or from files; those in files are followed while the server runs."""

import asyncio
import errno
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from chatstream.logs import get_logger
from chatstream.settings import ConfigurationError, SessionSettings
from fastersession import KeyRing

log = get_logger(__name__)

POLL = 5.0
"""Seconds between two looks at a file."""
MOST_BYTES = 1_048_576
"""Of a file: what Kubernetes allows a Secret."""


class KeyFile:
    """A JSON list of keys in a file, and the ring that follows it.

    Raises ConfigurationError where there are no such keys in it at the start. No message shows a key.
    """

    def __init__(self, path: Path, setting: str) -> None:
        self._path = path
        self._setting = setting
        try:
            self._seen: bytes | str = _read(path)
            self.ring = KeyRing(_parse(self._seen))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{setting}: {_cause(path, error)}") from None

    def follow(self) -> None:
        """Take over keys that changed; what cannot be used is logged once, and the keys stay as they were.

        The content decides, not the file's time: Kubernetes replaces a link above the file.
        """
        try:
            content = _read(self._path)
        except OSError as error:
            self._keep(error, _cause(self._path, error))
            return
        if content == self._seen:
            return
        try:
            self.ring.replace(_parse(content))
        except ValueError as error:
            self._keep(error, content)
            return
        self._seen = content
        log.info("keys read", setting=self._setting, fingerprints=list(self.ring.fingerprints()))

    def _keep(self, error: Exception, seen: bytes | str) -> None:
        if seen != self._seen:
            self._seen = seen
            log.error("keys not read, the former ones stay", error=_cause(self._path, error))


class KeyFollower:
    """Looks at key files, each POLL seconds. They are small and local: reading one holds nobody up."""

    def __init__(self, files: Sequence[KeyFile]) -> None:
        self._files = files
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._files:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            for file in self._files:
                file.follow()


@dataclass(frozen=True, slots=True)
class Keys:
    """`encryption` is None where nothing is encrypted."""

    session: KeyRing
    encryption: KeyRing | None
    follower: KeyFollower


def read_keys(settings: SessionSettings) -> Keys:
    """Raises ConfigurationError where there is no key to sign with, or a file cannot be used."""
    files: list[KeyFile] = []
    session = _ring(settings.secret_keys, settings.secret_keys_file, "sessions.secret_keys_file", files)
    if session is None:
        raise ConfigurationError(
            "sessions.secret_keys is empty: set CHATSTREAM_SESSIONS__SECRET_KEYS to a JSON list of one key "
            "or more, each of 16 bytes or more, the first signs; or sessions.secret_keys_file to a file of it"
        )
    encryption = _ring(
        settings.encryption_keys, settings.encryption_keys_file, "sessions.encryption_keys_file", files
    )
    return Keys(session, encryption, KeyFollower(files))


def _ring(keys: Sequence[SecretStr], file: Path | None, setting: str, files: list[KeyFile]) -> KeyRing | None:
    """The ring of the keys given, or of the file, which then is one of `files`."""
    if file is not None:
        files.append(KeyFile(file, setting))
        return files[-1].ring
    return KeyRing([key.get_secret_value() for key in keys]) if keys else None


def _read(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is no file")  # a pipe would be waited for
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _parse(content: bytes) -> list[str]:
    """Raises ValueError, which shows nothing of the content."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"holds more than {MOST_BYTES} bytes")
    try:
        keys = json.loads(content)
    except (ValueError, RecursionError):
        keys = None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("holds no JSON list of strings")
    return keys


def _cause(path: Path, error: Exception) -> str:
    words = error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
    return f"{path}: {words}"
