"""What all tests have in common: which of them stay in one process."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[1]


@functools.cache
def _is_spread(file: str) -> bool:
    path = ROOT / file
    return path.is_file() and "\npytestmark = pytest.mark.spread\n" in path.read_text(encoding="utf-8")


class _Scheduling(LoadFileScheduling):
    """The tests of a file stay in one process, since they share what its fixtures made, unless the file is marked `spread`."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if _is_spread(file) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Scheduling | None:
    """Of `--dist loadfile`; by hand any other."""
    return _Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None
