"""Which class a row is called: that of the largest probability times a factor for each class, or of the largest probability if there are none.

Probabilities say what share of such rows is of a class. From where on a row is to be called by a rare one is another question, which the
metric answers: for F1 long before one half. So the probabilities stay as they are, and the graph's metadata hold the factors. NumPy alone is
imported here, because serving calls rows, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FACTORS: Final = "class_factors"
"""Key of an ONNX model's metadata: a JSON list with a number for each class."""


def scaled(predicted: NDArray[Any], factors: Sequence[float]) -> NDArray[Any]:
    """What the class called is the largest of, shape (n, classes): probabilities times the factors, or as they are if there are none."""
    return predicted * np.asarray(factors, dtype=predicted.dtype) if len(factors) else predicted


def called(predicted: NDArray[Any], factors: Sequence[float]) -> NDArray[np.int64]:
    """Index of the class that each row is called, shape (n,), from probabilities of shape (n, classes)."""
    return np.asarray(scaled(predicted, factors).argmax(axis=1), dtype=np.int64)


def factors_of(session: Any) -> tuple[float, ...]:
    """The factors of an ONNX Runtime session's model; empty if it has none."""
    return tuple(json.loads(session.get_modelmeta().custom_metadata_map.get(FACTORS, "[]")))


def rule(classes: Sequence[str], factors: Sequence[float]) -> str:
    """A sentence for people about how rows are called."""
    if not len(factors):
        return "A row is called by the class of the largest probability."
    if len(classes) == 2:
        return f"A row is called {classes[1]} if that has a probability above {factors[0] / (factors[0] + factors[1]):.3g}."
    shown = ", ".join(f"{name} {factor:.3g}" for name, factor in zip(classes, factors, strict=True))
    return f"A row is called by the class of the largest probability after it was multiplied by a factor: {shown}."
