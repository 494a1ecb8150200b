"""The API server's answers of failure, as our own errors."""

from __future__ import annotations

import json
from collections.abc import Mapping

from chatstream_operator.errors import Conflict, Gone, Internal, KubeError, NotFound, Refused, Unavailable

_BY_STATUS: dict[int, type[KubeError]] = {404: NotFound, 409: Conflict, 410: Gone}


def error_of(status: int, body: bytes, retry_after_seconds: float | None = None) -> KubeError:
    """The message is that of the Status object, where the body holds one."""
    message = _message(body) or f"HTTP {status}"
    if status == 500:
        return Internal(message, status=status, retry_after=retry_after_seconds)
    if status == 429 or status > 500:
        return Unavailable(message, status=status, retry_after=retry_after_seconds)
    return _BY_STATUS.get(status, Refused)(message, status=status)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header; dates, which the API server never sends, count as none."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _message(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    try:
        answer = json.loads(text)
    except ValueError:
        return text[:500]
    return str(answer.get("message") or "") if isinstance(answer, dict) else text[:500]
