"""How this machine's pip reaches its package index, for the pip inside image builds; no image keeps it."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

KEYS = ("cert", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def build_settings(environment: Mapping[str, str], files: list[str]) -> str:
    """A pip.conf: the [global] settings of the files, a later one wins, PIP_* of the environment over all."""
    values = {"cert": str(AUTHORITIES)}
    for text in files:
        parser = configparser.RawConfigParser()
        parser.read_string(text)
        if parser.has_section("global"):
            values |= {key: value for key, value in parser.items("global") if key in KEYS}
    for key in KEYS:
        value = environment.get(f"PIP_{key.upper().replace('-', '_')}")
        if value and key != "cert":
            values[key] = value
    return "\n".join(["[global]", *(f"{key} = {value}" for key, value in sorted(values.items())), ""])


def write_settings(folder: Path) -> Path:
    """Write the pip.conf for builds; its path."""
    home = Path(os.environ.get("HOME") or "/root")
    candidates = (Path("/etc/pip.conf"), home / ".pip" / "pip.conf", home / ".config" / "pip" / "pip.conf")
    path = folder / "pip.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(build_settings(os.environ, [item.read_text() for item in candidates if item.is_file()]))
    return path
