"""The operator's settings: from the environment, each explained."""

from __future__ import annotations

import ast
import inspect

import pytest
from pydantic import ValidationError

from chatstream_operator import settings as module
from chatstream_operator.settings import OperatorSettings
from tests.operator.samples import ROOT


def test_they_come_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATSTREAM_OPERATOR_SERVER_IMAGE", "server:2")
    monkeypatch.setenv("CHATSTREAM_OPERATOR_IMAGE_PULL_SECRETS", '["a"]')
    monkeypatch.setenv("CHATSTREAM_OPERATOR_RESYNC_SECONDS", "5")
    settings = OperatorSettings()
    assert (settings.server_image, settings.image_pull_secrets, settings.resync_seconds) == (
        "server:2",
        ("a",),
        5,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RESYNC_SECONDS", "0"),
        ("WORKERS", "0"),
        ("LOG_LEVEL", "loud"),
        ("HEALTH_PORT", "70000"),
        ("SERVER_IMAGE", ""),
    ],
)
def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"CHATSTREAM_OPERATOR_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        OperatorSettings()


def test_each_is_explained_under_its_field() -> None:
    tree = ast.parse(inspect.getsource(module))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    fields = [index for index, node in enumerate(body) if isinstance(node, ast.AnnAssign)]
    assert len(fields) == len(OperatorSettings.model_fields)
    for index in fields:
        explained = body[index + 1]
        assert isinstance(explained, ast.Expr), ast.unparse(body[index])
        assert isinstance(explained.value, ast.Constant)


@pytest.mark.parametrize("name", OperatorSettings.model_fields)
def test_each_is_in_the_documents(name: str) -> None:
    assert f"`CHATSTREAM_OPERATOR_{name.upper()}`" in (ROOT / "docs" / "operator.md").read_text()
