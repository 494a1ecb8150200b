"""SessionsReady: whether turns find their conversation."""

from __future__ import annotations

from typing import Literal

from chatstream_operator.spec import ChatStream
from chatstream_operator.status.observation import Observation, Probe
from chatstream_operator.status.problems import WAITING_REASONS, find_problem, worst

LASTING_SECONDS = 8.0
"""A Redis that just came up is not found at once: only what lasts is a fault."""
Verdict = tuple[Literal["True", "False", "Unknown"], str, str]
"""Status, reason, message."""


def build_sessions_ready(chatstream: ChatStream, seen: Observation) -> Verdict:
    status, reason, message = _of_the_store(chatstream, seen)
    if seen.keys_problem and status != "False":
        return "False", "KeysInvalid", seen.keys_problem
    return status, reason, f"{message}; {seen.rotation}" if seen.rotation else message


def _of_the_store(chatstream: ChatStream, seen: Observation) -> Verdict:
    if chatstream.session_store == "memory":
        return _warned(seen, "InMemory", "sessions are in the pod's memory and end with it")
    missing = [one for one in seen.missing_secrets if one.field.startswith("spec.sessions")]
    if missing:
        return "False", "SecretMissing", missing[0].message
    if chatstream.session_store == "managed" and not seen.redis_ready:
        return _redis_waits(seen)
    away = next((probe for probe in seen.probes if probe.answered and not probe.store_reachable), None)
    if away:
        words = away.error or "no reason is known"
        if seen.store_away_seconds < LASTING_SECONDS:
            return "False", "RedisNotReady", f"pod {away.pod} does not reach Redis yet: {words}"
        return "False", "RedisUnreachable", f"pod {away.pod} does not reach Redis: {words}"
    if any(probe.answered for probe in seen.probes):
        return _warned(seen, "Reachable", "the pods reach Redis")
    if chatstream.session_store == "managed":
        return "True", "RedisReady", "Redis is ready"
    return "Unknown", "NotChecked", "no pod could be asked yet whether it reaches Redis"


def _redis_waits(seen: Observation) -> Verdict:
    # Redis asks for no GPU: the name of the resource plays no part in its problems.
    problem = worst(found for pod in seen.redis_pods if (found := find_problem(pod, "nothing")))
    if problem is None:
        return "False", "RedisNotReady", "Redis has no pod yet"
    if problem.reason in WAITING_REASONS:
        return "False", "RedisNotReady", problem.message
    return "False", _redis_reason(problem.reason), f"Redis: {problem.message}"


def _redis_reason(reason: str) -> str:
    return "RedisNotReady" if reason == "Unschedulable" else reason


def _warned(seen: Observation, reason: str, message: str) -> Verdict:
    """Sessions work, but a secure cookie over plain http never comes back."""
    probe: Probe | None = next((one for one in seen.probes if one.plain_http > 0), None)
    if probe is None:
        return "True", reason, message
    words = (
        f"requests came to pod {probe.pod} by plain http, where browsers drop a secure cookie: "
        "let users come by https, or set spec.sessions.cookie.secure to false"
    )
    return "True", "SecureCookieOverPlainHTTP", words
