"""The contract: which columns a row has, and what each may hold. Read from `project.yml`, carried in every package.

Only the standard library is imported here, because the contract is on the scoring path.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Final, Literal, get_args

from .errors import RowProblem, shorten

Task = Literal["regression", "classification"]
ColumnType = Literal["number", "integer", "category", "boolean", "datetime"]
COLUMN_TYPES: Final = get_args(ColumnType)

ISO_FORMATS: Final = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
_ISO_TEXTS: Final = {
    pattern: re.compile(re.sub("%[YmdHMS]", lambda code: r"\d{4}" if code[0] == "%Y" else r"\d\d", pattern), re.ASCII)
    for pattern in ISO_FORMATS
}
MISSING_VALUES: Final = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
TRUE_WORDS: Final = ("true", "yes", "y", "1", "t")
FALSE_WORDS: Final = ("false", "no", "n", "0", "f")
SPACES: Final = " \t\r\n\u00a0"
"""What is stripped from both ends of a category; named, since libraries differ in what they call white space."""

Value = float | str | None
"""A typed value: numbers, booleans (0/1) and datetimes (seconds since 1970, UTC) are floats, categories are text."""


@dataclass(frozen=True)
class Column:
    """One column of the raw data.

    Attributes:
        name: as in the CSV's header and in a request.
        type: how values are read.
        unit: of a number, for people ("minutes"); None if it has none.
        description: for people; goes into the model card and the OpenAPI schema.
        minimum, maximum: inclusive range of a number, in `unit`; None means unbounded.
        levels: the only values of a category (spelling as shown to people; compared without case and outer
            spaces); None means any, and levels unseen in training are encoded as such.
        missing: whether a value may be absent (empty in a CSV, null in a request).
        known: whether the value is known when a prediction is asked for. Unknown ones never reach a model.
        feature: whether models may use it; a key column that is only an identifier says false.
        formats: `strptime` formats of a datetime, tried in order.
    """

    name: str
    type: ColumnType
    unit: str | None = None
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    levels: tuple[str, ...] | None = None
    missing: bool = True
    known: bool = True
    feature: bool = True
    formats: tuple[str, ...] = ISO_FORMATS

    @cached_property
    def level_set(self) -> dict[str, str]:
        """Normalised level → the declared spelling; empty if levels are not declared."""
        return {normalise(level): level for level in self.levels or ()}

    def allowed(self) -> str:
        """What the column accepts, in words."""
        if self.type == "category":
            if self.levels is None:
                words = "text"
            else:
                shown = ", ".join(self.levels[:12])
                words = f"one of {shown}" + (f", … ({len(self.levels)} levels)" if len(self.levels) > 12 else "")
        elif self.type == "boolean":
            words = "true or false"
        elif self.type == "datetime":
            words = "a date like " + " or ".join(datetime(2013, 1, 31, 14, 5, tzinfo=timezone.utc).strftime(f) for f in self.formats)
        else:
            words = "a whole number" if self.type == "integer" else "a number"
            if self.minimum is not None or self.maximum is not None:
                low = "-∞" if self.minimum is None else f"{self.minimum:g}"
                high = "∞" if self.maximum is None else f"{self.maximum:g}"
                words += f" from {low} to {high}"
            if self.unit:
                words += f" {self.unit}"
        return words + (", or null" if self.missing else "; it may not be missing")

    def in_range(self, value: float) -> bool:
        """Whether a number is inside the declared range."""
        return not ((self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum))

    def read(self, value: object) -> Value:
        """A value of a request, typed.

        Args:
            value: as `json.loads` gives it: str, int, float, bool or None.

        Returns:
            The typed value, None if it is missing.

        Raises:
            ValueError: the value is not allowed; the caller adds row and field.
        """
        if value is None:
            if self.missing:
                return None
            raise ValueError
        kind = self.type
        if kind in {"number", "integer"}:
            if type(value) is not float and type(value) is not int:
                raise ValueError
            try:
                number = float(value)
            except OverflowError:
                raise ValueError from None
            # A comparison with NaN is false, so NaN fails here, as do both infinities.
            if not -math.inf < number < math.inf or (kind == "integer" and number != math.floor(number)):
                raise ValueError
            if (self.minimum is not None and number < self.minimum) or (self.maximum is not None and number > self.maximum):
                raise ValueError
            return number
        if kind == "category":
            if type(value) is int:
                value = str(value)
            if type(value) is not str:
                raise ValueError
            level = normalise(value)
            if self.levels is not None and level not in self.level_set:
                raise ValueError
            return level
        if kind == "boolean":
            if type(value) is not bool:
                raise ValueError
            return 1.0 if value else 0.0
        if type(value) is not str:
            raise ValueError
        return parse_datetime(value, self.formats)

    def problem(self, row: int | None, value: object) -> RowProblem:
        """The refusal of a value that `read` did not take."""
        found = "null" if value is None else shorten(value)
        if isinstance(value, float) and not math.isfinite(value):
            found = "NaN" if math.isnan(value) else "an infinite number"
        return RowProblem(row, self.name, found, self.allowed())


def normalise(level: str) -> str:
    """The form in which categories are compared: no outer spaces, lower case."""
    return level.strip(SPACES).lower()


def parse_datetime(text: str, formats: tuple[str, ...]) -> float:
    """Seconds since 1970-01-01 UTC of a text in one of `formats`; a time without zone counts as UTC.

    Raises:
        ValueError: no format fits.
    """
    text = text.strip(SPACES)
    for pattern in formats:
        # The common formats are read by fixed positions: strptime takes 8 µs, a budget that a request has not got.
        try:
            if pattern in _ISO_TEXTS:
                if _ISO_TEXTS[pattern].fullmatch(text):
                    return datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc).timestamp()
            else:
                moment = datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone is set on the next line
                return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
        except ValueError:
            continue
    raise ValueError(text)


@dataclass(frozen=True)
class Contract:
    """What a row is, and what is predicted from it.

    Attributes:
        name: of the project and of the registered model.
        task: regression or classification.
        target: the column predicted.
        positive: for two classes, the one whose probability is the score; None for regression and more classes.
        classes: the classes in the order of a model's outputs; empty for regression.
        key: columns that identify a row; empty means all columns together.
        columns: every column of the raw data, the target included, in the order of `project.yml`.
        missing_values: texts that count as missing in a CSV.
    """

    name: str
    task: Task
    target: str
    columns: tuple[Column, ...]
    positive: str | None = None
    classes: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    missing_values: tuple[str, ...] = field(default=MISSING_VALUES)

    def __getitem__(self, name: str) -> Column:
        return self.by_name[name]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Column by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def inputs(self) -> tuple[Column, ...]:
        """The columns of a request: known when a prediction is asked for, and used by the models."""
        return tuple(c for c in self.columns if c.known and c.feature and c.name != self.target)

    @cached_property
    def missing_set(self) -> frozenset[str]:
        """Texts that count as missing in a file, the empty one among them."""
        return frozenset((*self.missing_values, ""))

    @property
    def target_unit(self) -> str:
        """Unit of the target for labels; empty if it has none."""
        return self.by_name[self.target].unit or ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Contract:
        """The contract that `to_dict` wrote."""
        columns = tuple(
            Column(
                **{
                    **column,
                    "levels": None if column["levels"] is None else tuple(column["levels"]),
                    "formats": tuple(column["formats"]),
                }
            )
            for column in data["columns"]
        )
        lists = {name: tuple(data[name]) for name in ("classes", "key", "missing_values")}
        return cls(**{**data, "columns": columns, **lists})
