"""Fixtures of the system tests: the whole path, started once for a module."""

from collections.abc import Iterator

import pytest

from tests.system.running import WholePath, whole_path


@pytest.fixture(scope="module")
def running_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePath]:
    """All processes, for the tests of one module."""
    with whole_path(tmp_path_factory.mktemp("home")) as path:
        yield path


@pytest.fixture
def path(running_path: WholePath) -> WholePath:
    """All processes, with nothing standing on site or on the board."""
    running_path.calm()
    return running_path
