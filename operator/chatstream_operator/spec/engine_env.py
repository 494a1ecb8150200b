"""The check of spec.engine.env, which only the operator can make: is each name known, and free to set?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from chatstream_operator.spec.model import EnvVar
from chatstream_operator.tgi_environment import KNOWN, RESERVED


def check_engine_env(variables: Iterable[EnvVar]) -> list[str]:
    """One sentence for each variable that cannot be, naming the field and the remedy. Empty: all are fine."""
    return [problem for variable in variables if (problem := _check_name(variable.name))]


def _check_name(name: str) -> str | None:
    field = f"spec.engine.env[{name}]"
    if name in RESERVED:
        return f"{field}: {RESERVED[name]}"
    if name in KNOWN:
        return None
    near = difflib.get_close_matches(name.upper(), sorted(KNOWN - set(RESERVED)), n=1)
    hint = f"did you mean {near[0]}?" if near else "remove it"
    return f"{field}: text-generation-inference knows no such setting: {hint}"
