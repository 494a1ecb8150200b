"""Kubeconfig files: one user with a token, one cluster, its authority embedded."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class User:
    """One line of the API server's token file."""

    name: str
    groups: tuple[str, ...] = ()

    def line(self, token: str) -> str:
        # The file is CSV: token, user, uid, and the groups as one quoted field.
        return f'{token},"{self.name}","{self.name}","{",".join(self.groups)}"'


ADMIN = User("admin", ("system:masters",))


def build(server: str, token: str, authority: bytes) -> str:
    """The file's text; JSON is YAML too."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "chatstream-dev", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [
                {"name": "chatstream-dev", "context": {"cluster": "chatstream-dev", "user": "user"}},
            ],
            "current-context": "chatstream-dev",
        },
        indent=1,
    )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def make_users(tokens: Path, targets: dict[Path, User], *, server: str, authority: Path) -> None:
    """Draw a token for each user; write the token file and each user's kubeconfig."""
    drawn = {path: secrets.token_urlsafe(32) for path in targets}
    write_private(tokens, "\n".join(user.line(drawn[path]) for path, user in targets.items()) + "\n")
    for path in targets:
        write_private(path, build(server, drawn[path], authority.read_bytes()))


def token_of(path: Path) -> str:
    """The token in a kubeconfig of ours."""
    return str(json.loads(path.read_text())["users"][0]["user"]["token"])
