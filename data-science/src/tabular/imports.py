"""Imports that leave out what a library would load for integrations that are not used here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Inside, importing any of `names` fails, as if it were not installed, unless it is loaded already.

    LightGBM, XGBoost and MLflow look for pandas, scikit-learn and others when they are imported, and work without
    them; loading those takes seconds, which every step of a run would pay.
    """
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
