"""Which tests stay in one process when several share the work (`pytest -n`, pytest-xdist)."""

from __future__ import annotations

import pytest

_SHARED = ("flight",)
"""Fixtures of a session that take long to make: the tests that use one stay together, so that it is made once."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's other tests stay together, too: they share what their module makes."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        group = next((name for name in _SHARED if name in names), None) or item.location[0]
        item.add_marker(pytest.mark.xdist_group(group))
