"""A turn's end in figures and in one line of the log; no text of any user, no id of any session."""

from typing import TYPE_CHECKING

from chatstream.errors import ChatStreamError, EngineError
from chatstream.logs import get_logger
from chatstream.metrics import Metrics
from chatstream.turns.generation import Generation
from chatstream.turns.outcome import Ending

if TYPE_CHECKING:
    from chatstream.turns.turn import Turn

log = get_logger(__name__)


def record(turn: "Turn", ending: Ending, metrics: Metrics, now: float) -> None:
    """Count the turn; called once for each."""
    if not turn.accepted:
        if not ending.left:
            cause = str(ending.error) if isinstance(ending.error, EngineError) else None
            refused(ending.cause or "unknown", metrics, cause)
        return
    _count(turn, ending, metrics, now)
    _log(turn, ending, now)


def refused(reason: str, metrics: Metrics, detail: str | None = None) -> None:
    metrics.rejected.labels(reason).inc()
    log.info("request refused", reason=reason, detail=detail)


def _count(turn: "Turn", ending: Ending, metrics: Metrics, now: float) -> None:
    metrics.turns.labels(ending.outcome).inc()
    metrics.turn_duration.observe(now - turn.began_at)
    metrics.queue_wait.observe(queue_wait(turn))
    if turn.generation is not None:
        _count_tokens(turn.generation, turn.began_at, ending, metrics)


def _count_tokens(generation: Generation, began_at: float, ending: Ending, metrics: Metrics) -> None:
    if generation.first_at is not None:
        metrics.time_to_first_token.observe(generation.first_at - began_at)
    metrics.generated_tokens.inc(generation.generated)
    if ending.outcome != "success":
        metrics.discarded_tokens.labels(ending.outcome).inc(generation.generated)
    if generation.end is not None and generation.end.prompt_tokens is not None:
        metrics.prompt_tokens.inc(generation.end.prompt_tokens)


def queue_wait(turn: "Turn") -> float:
    """Seconds between the ticket and its slot, or its leaving without one."""
    ticket = turn.ticket
    left_at = ticket.granted_at if ticket.granted_at is not None else ticket.released_at
    return (left_at if left_at is not None else ticket.entered_at) - ticket.entered_at


def _log(turn: "Turn", ending: Ending, now: float) -> None:
    level = log.info if ending.error is None or isinstance(ending.error, ChatStreamError) else log.error
    unexpected = ending.error if not isinstance(ending.error, ChatStreamError | None) else None
    level(
        "turn ended",
        outcome=ending.outcome,
        cause=ending.cause,
        phase=turn.phase,
        seconds=round(now - turn.began_at, 3),
        queued_seconds=round(queue_wait(turn), 3),
        tokens=turn.generation.generated if turn.generation is not None else 0,
        detail=str(ending.error) if isinstance(ending.error, ChatStreamError) else None,
        exc_info=unexpected,
    )
