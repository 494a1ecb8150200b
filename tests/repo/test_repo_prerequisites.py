"""What the tests need besides the Python environment."""

from __future__ import annotations

import pytest

from devcluster import programs
from devcluster.errors import DevclusterError
from tools import prerequisites


@pytest.mark.parametrize("group", prerequisites.GROUPS)
def test_every_program_can_be_built(group: str) -> None:
    assert (
        set(prerequisites.GROUPS[group].programs) <= programs.PROGRAMS.keys() | programs.TEST_PROGRAMS.keys()
    )


def test_who_is_not_root_is_told_what_to_install() -> None:
    with pytest.raises(DevclusterError, match=r"as root: no-such-package$"):
        prerequisites.provide_packages(("dpkg", "no-such-package"), is_root=False)


def test_nothing_is_done_where_all_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    prerequisites.provide_packages(("dpkg",), is_root=False)
    prerequisites.provide_programs(prerequisites.UNIT.programs)
    assert capsys.readouterr().out == ""
