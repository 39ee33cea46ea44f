"""JSON documents: strict, so that any reader takes them; what is not a number (NaN, infinity) is written as null."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


def to_json(document: Any) -> str:
    """A document as indented JSON text."""
    return json.dumps(_plain(document), indent=1, allow_nan=False) + "\n"


def write_json(document: Any, path: Path) -> None:
    """Write a document."""
    path.write_text(to_json(document))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
