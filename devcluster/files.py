"""Writing files only when they change: some daemons restart when theirs is touched."""

from __future__ import annotations

from pathlib import Path


def write_if_changed(path: Path, text: str, *, mode: int = 0o644) -> bool:
    """Whether it had to be written. Folders on the way are made."""
    if path.is_file() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(text)
    return True
