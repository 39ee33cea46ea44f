"""Scoring of single requests, as Azure Machine Learning's inference servers call it: `init()` once, then `run(raw)`.

Names decide, never positions. A bad request raises `RequestError`, whose text names field and row and whose
`to_dict()` is the body of a 400; nothing of it is scored.
"""

from __future__ import annotations

from typing import Any

from tabular.errors import RequestError
from tabular.scoring import Scorer, find_package

__all__ = ["RequestError", "init", "openapi", "run"]

_scorer: Scorer | None = None


def init() -> None:
    """Load the package below AZUREML_MODEL_DIR, after comparing its files with its manifest."""
    global _scorer  # noqa: PLW0603 - Azure's contract is a pair of functions that share a module
    _scorer = Scorer(find_package())


def run(raw: str | bytes) -> dict[str, Any]:
    """Answer a request.

    Args:
        raw: the body, `{"input_data": [{"column": value, …}, …]}`.

    Returns:
        `{"predictions": […]}`, for a classification with `"probabilities"`.

    Raises:
        RequestError: the body breaks the contract.
        RuntimeError: init() was not called.
    """
    if _scorer is None:
        raise RuntimeError("call init() first")
    return _scorer.score(raw)


def openapi() -> dict[str, Any]:
    """The API of this model as an OpenAPI document, made from its contract.

    Raises:
        RuntimeError: init() was not called.
    """
    if _scorer is None:
        raise RuntimeError("call init() first")
    from tabular.openapi import document

    return document(_scorer.contract)
