"""The few calls that this tool makes to the API server itself: JSON over HTTPS, as the administrator."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devcluster.errors import DevclusterError

SECONDS = 10.0
Json = dict[str, Any]


class KubeError(DevclusterError):
    """The API server refused, or did not answer (code 0)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Kube:
    """A client for one API server."""

    server: str
    token: str
    authority: str

    @classmethod
    def load(cls, kubeconfig: Path) -> Kube:
        """From a kubeconfig that this tool wrote."""
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return cls(cluster["server"], config["users"][0]["user"]["token"], authority)

    def get(self, path: str) -> Json:
        return self.request("GET", path)

    def find(self, path: str) -> Json | None:
        """As get, but None when there is no such object."""
        try:
            return self.get(path)
        except KubeError as error:
            if error.code == 404:
                return None
            raise

    def apply(self, path: str, manifest: Json) -> Json:
        """Server-side apply as `devcluster`; takes fields over from others."""
        at = f"{path}?fieldManager=devcluster&force=true"
        return self.request("PATCH", at, manifest, content_type="application/apply-patch+yaml")

    def merge(self, path: str, patch: Json) -> Json:
        return self.request("PATCH", path, patch, content_type="application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Idempotent."""
        try:
            self.request("DELETE", path)
        except KubeError as error:
            if error.code != 404:
                raise

    def request(
        self, method: str, path: str, body: Json | None = None, *, content_type: str = "application/json"
    ) -> Json:
        """One call; KubeError when refused or unanswered within 10 s."""
        request = urllib.request.Request(
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.token}", "content-type": content_type},
        )
        try:
            with self._opener().open(request, timeout=SECONDS) as response:
                answer: Json = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise KubeError(error.code, _message(error)) from error
        except (OSError, ValueError) as error:
            raise KubeError(0, f"{urlsplit(self.server).netloc} does not answer: {error}") from error

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cadata=self.authority)
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )


def _message(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
