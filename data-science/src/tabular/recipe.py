"""The recipe: how a typed row becomes the float32 features that models see. Fitted on training rows, stored as JSON.

This module holds its form alone (standard library only); `fitting` makes one, `recipe_frames` applies it to data
frames, `recipe_arrays` to requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1
CODE: Final = "__code"
"""Ends the name of a feature that is the number of a category's level, below 0 for none."""


LARGEST: Final = 1.7e38
"""Half of the largest float32. A number beyond it counts as missing: models see float32, and it may be shifted by as much."""

CODES_FILE: Final = "codes.json"
"""Beside the training rows: `Recipe.codes`."""
MAX_CODES: Final = 64
"""Levels of a category that gets a code beside the mean of its target: with more of them, parting levels learns noise."""


@dataclass(frozen=True)
class NumberFeature:
    """A numeric feature: `(clip(fill(source)) - shift) / scale`.

    Attributes:
        name: of the feature.
        source: JSON form of the expression it is computed from.
        fill: value for missing ones, in the source's unit; None leaves NaN for the model.
        lower, upper: clipping bounds in the source's unit; None means unbounded.
        shift, scale: of the scaling; 0 and 1 for none.
        indicator: whether a feature `<name>__missing` (0 or 1) goes with it.
    """

    name: str
    source: Any
    fill: float | None = None
    lower: float | None = None
    upper: float | None = None
    shift: float = 0.0
    scale: float = 1.0
    indicator: bool = False

    @property
    def most(self) -> float:
        """The largest magnitude that counts as a number, in the source's unit: scaled, it is finite as float32."""
        return LARGEST * min(1.0, self.scale)


@dataclass(frozen=True)
class CategoryFeature:
    """A category turned into one or more numbers by looking its level up.

    Attributes:
        source: JSON form of the expression that gives the level.
        method: target, one_hot, frequency or ordinal; for people, the table decides.
        outputs: names of the features.
        table: level → one value per output.
        unseen: values of a level that training had not.
        missing: values of a missing level.
    """

    source: Any
    method: str
    outputs: tuple[str, ...]
    table: dict[str, tuple[float, ...]]
    unseen: tuple[float, ...]
    missing: tuple[float, ...]


@dataclass(frozen=True)
class Recipe:
    """Every feature, in the order of a model's input columns: numbers, their indicators, then categories.

    Attributes:
        fitted_rows: how many training rows it was fitted on.
        fitted_sha256: of the raw data file.
    """

    numbers: tuple[NumberFeature, ...]
    categories: tuple[CategoryFeature, ...]
    fitted_rows: int = 0
    fitted_sha256: str = ""

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features in order."""
        return (
            *(n.name for n in self.numbers),
            *(f"{n.name}__missing" for n in self.numbers if n.indicator),
            *(output for c in self.categories for output in c.outputs),
        )

    @property
    def codes(self) -> dict[str, int]:
        """Features that are the number of a category's level → how many levels it has."""
        return {c.outputs[0]: len(c.table) for c in self.categories if c.method == "ordinal"}

    def to_json(self) -> str:
        """A diffable text; `from_json` reads it back exactly."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote.

        Raises:
            ValueError: another format than this version's.
        """
        data: Mapping[str, Any] = json.loads(text)
        if data.get("format") != FORMAT:
            raise ValueError(f"recipe format {data.get('format')!r}; this version reads {FORMAT}")
        categories = tuple(
            CategoryFeature(
                **{
                    **c,
                    "outputs": tuple(c["outputs"]),
                    "table": {level: tuple(values) for level, values in c["table"].items()},
                    "unseen": tuple(c["unseen"]),
                    "missing": tuple(c["missing"]),
                }
            )
            for c in data["categories"]
        )
        numbers = tuple(NumberFeature(**n) for n in data["numbers"])
        return cls(numbers, categories, data["fitted_rows"], data["fitted_sha256"])

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """The recipe of a file."""
        return cls.from_json(path.read_text())
