"""One helm for all of these tests."""

from __future__ import annotations

import pytest

from devcluster import programs
from helm import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(programs.ensure("helm"), tmp_path_factory.mktemp("helm"))
