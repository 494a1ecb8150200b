"""The chart and the operator's settings agree: each name is known, each value parses, none is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from chatstream_operator.settings import OperatorSettings
from helm import ALL_OPTIONS, Helm, pick

PREFIX = "CHATSTREAM_OPERATOR_"
# Limits on single requests, which nobody but a developer changes.
INTERNAL = {"request_timeout", "watch_timeout"}


@pytest.mark.parametrize("values", [[], [ALL_OPTIONS]], ids=["default", "all-options"])
def test_the_operator_reads_what_the_chart_sets(
    helm: Helm, monkeypatch: pytest.MonkeyPatch, values: Sequence[Path]
) -> None:
    container = pick(helm.template(values=values), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    given = {entry["name"]: entry["value"] for entry in container["env"] if entry["name"].startswith(PREFIX)}
    names = {name.removeprefix(PREFIX).lower() for name in given}
    assert names == OperatorSettings.model_fields.keys() - INTERNAL
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = OperatorSettings()
    assert settings.model_fields_set == names
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"health": settings.health_port, "metrics": settings.metrics_port}
