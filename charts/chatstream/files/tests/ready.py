"""The chart's test, run in a pod: `python ready.py API_SERVER OPERATOR`, with the standard library only."""

import json
import pathlib
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable

CREDENTIALS = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEADLINE_SECONDS = 60.0
PAUSE_SECONDS = 1.0


def get(url: str, credentials: pathlib.Path | None = None) -> bytes:
    """The body of a 2xx answer within 5 seconds, else OSError. Credentials: a mounted service account."""
    request = urllib.request.Request(url)
    context = None
    if credentials is not None:
        request.add_header("Authorization", f"Bearer {(credentials / 'token').read_text()}")
        if url.startswith("https:"):
            context = ssl.create_default_context(cafile=str(credentials / "ca.crt"))
            # Python 3.13 became strict, and the authorities of many clusters carry no key identifier.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:
        body: bytes = answer.read()
    return body


def check_served(api: str, credentials: pathlib.Path) -> str:
    """The kind is served, and the operator's account may list it."""
    listed = json.loads(get(f"{api}/apis/chatstream.dev/v1alpha1/chatstreams", credentials))
    return f"the API server serves ChatStreams: {len(listed['items'])} in this cluster"


def check_ready(operator: str) -> str:
    get(f"{operator}/readyz")
    return "the operator is ready"


def main(
    api: str, operator: str, credentials: pathlib.Path = CREDENTIALS, limit: float = DEADLINE_SECONDS
) -> int:
    """Print what was found; what is not yet so is asked again until `limit` seconds have passed."""
    deadline = time.monotonic() + limit
    checks: dict[str, Callable[[], str]] = {
        "ChatStreams": lambda: check_served(api, credentials),
        "operator": lambda: check_ready(operator),
    }
    for name, check in checks.items():
        while True:
            try:
                print(f"ok: {check()}", flush=True)
                break
            except (OSError, ValueError) as error:
                if time.monotonic() >= deadline:
                    print(f"failed: {name}: {error}", flush=True)
                    return 1
                time.sleep(PAUSE_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
