"""`project.yml`, read into one typed `Project`. The only place where the keys of that file are known."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast, get_args

from .contract import COLUMN_TYPES, ISO_FORMATS, MISSING_VALUES, Column, ColumnType, Contract, Task, parse_datetime
from .yaml_lines import Section, load_section, sub_section

Encoding = Literal["auto", "target", "one_hot", "frequency", "ordinal"]
Scaling = Literal["none", "standard", "robust", "minmax"]
Ending = Literal["auto", "accurate", "fast"]
ClassWeight = Literal["none", "balanced"]
Family = Literal["lightgbm", "catboost", "xgboost", "extra_trees", "neural", "linear"]
DatePart = Literal["year", "month", "day", "weekday", "day_of_year", "hour", "minute"]

METRICS: Final = {
    "regression": ("rmse", "mae", "mse", "r2", "median_absolute_error"),
    "classification": ("log_loss", "accuracy", "precision", "recall", "f1", "roc_auc", "brier"),
}
"""Metrics by task; the first one is the default of `search.metric`."""
RISING: Final = frozenset({"r2", "accuracy", "precision", "recall", "f1", "roc_auc"})
"""Metrics of which more is better; of all others, less is."""


@dataclass(frozen=True)
class Split:
    """How rows are divided. A row's side never depends on other rows.

    Attributes:
        by: "hash" of the key, with shares that sum to 1, or "time" (oldest rows train, newest test), with dates.
        column: the datetime column of a split by time.
        validation_from, test_from: of a split by time: where validation and test begin, in seconds since 1970 UTC.
        seed: shifts the hash; the same seed keeps every row on its side for ever.
    """

    by: Literal["hash", "time"] = "hash"
    column: str | None = None
    train: float = 0.7
    validation: float = 0.15
    test: float = 0.15
    seed: int = 0
    validation_from: float = 0.0
    test_from: float = 0.0


@dataclass(frozen=True)
class Limits:
    """Largest share of rows (0 to 1) with a finding of a kind before the data are refused."""

    missing_value: float = 0.05
    wrong_type: float = 0.01
    out_of_range: float = 0.01
    unknown_level: float = 0.01
    duplicate: float = 0.05


@dataclass(frozen=True)
class Cleaning:
    """What happens to dirty values.

    Attributes:
        duplicates: "drop" keeps the first of rows with the same key (or, without a key, of equal rows).
        outlier_lower, outlier_upper: quantiles of the training rows to which numbers are clipped; 0 and 1 clip nothing.
        missing_numbers: what fills a missing number; "keep" hands NaN to the models.
        indicators: whether a column that has missing numbers in training gets a 0/1 column saying so.
    """

    duplicates: Literal["drop", "keep"] = "drop"
    outlier_lower: float = 0.0
    outlier_upper: float = 1.0
    missing_numbers: Literal["median", "mean", "zero", "keep"] = "median"
    indicators: bool = True
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Encodings:
    """How categories become numbers.

    Attributes:
        default: for columns not named in `columns`; "auto" is one_hot up to `one_hot_max_levels`, else target.
        smoothing: rows' worth of the overall mean that a target encoding starts from.
        folds: parts of the training rows for the out-of-fold target encoding.
    """

    default: Encoding = "auto"
    one_hot_max_levels: int = 5
    smoothing: float = 20.0
    folds: int = 5
    columns: dict[str, Encoding] = field(default_factory=dict)


@dataclass(frozen=True)
class Distance:
    """A great-circle distance in kilometres between two points of a row, each (latitude, longitude) in degrees."""

    name: str
    start: tuple[str, str]
    end: tuple[str, str]


@dataclass(frozen=True)
class Features:
    """Columns derived without code: parts of every datetime, and distances."""

    date_parts: tuple[DatePart, ...] = ("month", "weekday", "hour")
    distances: tuple[Distance, ...] = ()


@dataclass(frozen=True)
class Search:
    """The AutoML search.

    Attributes:
        metric: what is optimised, on rows that the models predicting them were not fitted on.
        seconds: wall-clock budget.
        threads: per model. One is steadiest on small tables.
        trials: no more than these are begun, but for a member made shorter for `fast` at the end; None: as many as there is time for.
        trial_seconds: the longest a trial may take; None: what the budget leaves it.
        exit_score: the search ends when the metric is this good; None: it does not.
        patience: the search ends after so many trials in a row without a better model; None: it does not.
        budget_trials: so many members, and a shorter one where `fast` needs it, instead of the seconds: the result is the same each time;
            None: the seconds count.
        ending: "accurate", "fast", or "auto": accurate if one row through it keeps its part of `gates.single_row_ms`.
        class_weight: "balanced" gives every class the same weight in training.
    """

    metric: str = "rmse"
    seconds: float = 30.0
    families: tuple[Family, ...] = get_args(Family)
    threads: int = 1
    seed: int = 0
    trials: int | None = None
    trial_seconds: float | None = None
    exit_score: float | None = None
    patience: int | None = None
    budget_trials: int | None = None
    ending: Ending = "auto"
    class_weight: ClassWeight = "none"


@dataclass(frozen=True)
class Bound:
    """A threshold of a gate, in the metric's unit."""

    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Gates:
    """What a model must hold to be registered.

    Attributes:
        thresholds: metric → bound, on the test rows.
        require: against the champion, "not_worse" or "better".
        confidence: of the paired bootstrap, 0.5 to 0.999.
        tolerance: for "not_worse": the share of the champion's error by which the candidate's may be larger.
        slice_ratio: largest error of a slice relative to the error over all rows; None switches the check off.
        slice_rows: slices with fewer test rows are reported, not judged.
        drift: largest population stability index of an input column of the stage data against training.
        single_row_ms: largest median time of one request inside the process, in milliseconds; None: not checked.
    """

    thresholds: dict[str, Bound] = field(default_factory=dict)
    require: Literal["not_worse", "better"] = "not_worse"
    confidence: float = 0.95
    tolerance: float = 0.01
    slice_ratio: float | None = None
    slice_rows: int = 100
    drift: float | None = None
    single_row_ms: float | None = None


@dataclass(frozen=True)
class Slice:
    """A column by whose values errors are reported; a number is cut at `edges` (rising, in its unit)."""

    column: str
    edges: tuple[float, ...] = ()


@dataclass(frozen=True)
class Project:
    """Everything `project.yml` says."""

    contract: Contract
    description: str = ""
    split: Split = field(default_factory=Split)
    cleaning: Cleaning = field(default_factory=Cleaning)
    encodings: Encodings = field(default_factory=Encodings)
    scaling: Scaling = "none"
    features: Features = field(default_factory=Features)
    search: Search = field(default_factory=Search)
    gates: Gates = field(default_factory=Gates)
    slices: tuple[Slice, ...] = ()

    @property
    def name(self) -> str:
        """Name of the project and of the registered model."""
        return self.contract.name


def load_project(path: Path) -> Project:
    """Read a `project.yml`.

    Raises:
        ProjectError: with one line `project.yml:line:column: key: found …; allowed: …` per mistake.
    """
    top = load_section(path)
    contract = _contract(top)
    project = Project(
        contract=contract,
        description=top.text("description"),
        split=_split(top.section("split"), contract),
        cleaning=_cleaning(top.section("cleaning")),
        encodings=_encodings(top.section("encoding"), contract),
        scaling=cast("Scaling", top.choice("scaling", get_args(Scaling), "none")),
        features=_features(top.section("features"), contract),
        search=_search(top.section("search"), contract),
        gates=_gates(top.section("gates"), contract),
        slices=_slices(top, contract),
    )
    top.finish()
    top.problems.raise_if_any()
    return project


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}")


def _contract(top: Section) -> Contract:
    name = top.text("name", "model", required=True)
    if not _NAME.fullmatch(name):
        top.fail("name", repr(name), "letters, digits, '-' and '_', at most 255, as Azure ML names models")
    task = cast("Task", top.choice("task", get_args(Task)))
    target = top.text("target", required=True)
    section = top.section("columns")
    columns = [_column(section, name) for name in section]
    if not columns:
        top.fail("columns", "no column", "at least the target and one feature")
    by_name = {column.name: column for column in columns}
    if columns and target and target not in by_name:
        top.fail("target", repr(target), f"one of the columns: {', '.join(by_name)}")
    key = top.words("key")
    for name_ in key:
        if name_ not in by_name or name_ == target:
            top.fail("key", repr(name_), "columns other than the target")
        elif not by_name[name_].known:
            top.fail("key", f"{name_!r}, which is unknown at prediction", "columns that are known; say feature: false of a mere identifier")
    column = by_name.get(target)
    classes: tuple[str, ...] = ()
    positive = None
    if column is not None:
        classes, positive = _target(top, task, column)
    missing = top.words("missing_values", MISSING_VALUES)
    if column is not None and not [c for c in columns if c.known and c.feature and c.name != target]:
        top.fail("columns", "no feature", "at least one column besides the target that is known and a feature")
    return Contract(name, task, target, tuple(columns), positive, classes, key, missing)


def _target(top: Section, task: Task, column: Column) -> tuple[tuple[str, ...], str | None]:
    if task == "regression":
        if column.type not in ("number", "integer"):
            top.fail("target", f"{column.name!r} of type {column.type}", "a number or integer column for a regression")
        if "positive" in top:
            top.fail("positive", repr(top.value("positive")), "only for a classification")
        top.text("positive")
        return (), None
    if column.type == "boolean":
        levels: tuple[str, ...] = ("false", "true")
    elif column.type == "category" and column.levels is not None:
        levels = column.levels
    else:
        top.fail("target", f"{column.name!r} of type {column.type}", "a boolean, or a category with levels, for a classification")
        levels = ()
    positive = top.text("positive") if "positive" in top else None
    if len(levels) == 1:
        top.fail("target", "one level", "at least two levels")
    if len(levels) == 2:
        if positive is None:
            positive = levels[1]
        if positive not in levels:
            top.fail("positive", repr(positive), f"one of {', '.join(levels)}")
        else:
            levels = (*(level for level in levels if level != positive), positive)
    elif positive is not None:
        top.fail("positive", repr(positive), f"only for two classes; {column.name!r} has {len(levels)}")
    return levels, positive


def _column(columns: Section, name: str) -> Column:
    s = columns.section(name)
    kind = cast("ColumnType", s.choice("type", COLUMN_TYPES))
    low = high = None
    levels: tuple[str, ...] | None = None
    if "range" in s:
        span = s.value("range")
        if kind not in ("number", "integer"):
            s.fail("range", "a range", f"only for number and integer, not {kind}")
        elif not (
            isinstance(span, list)
            and len(span) == 2
            and all(v is None or _is_number(v) for v in span)
            and not (span[0] is not None and span[1] is not None and span[0] > span[1])
        ):
            s.fail("range", repr(span), "[lowest, highest], either may be null for unbounded")
        else:
            low, high = (None if v is None else float(v) for v in span)
    else:
        s.value("range")
    if "levels" in s:
        levels = s.words("levels")
        if kind != "category":
            s.fail("levels", "levels", f"only for category, not {kind}")
            levels = None
        elif not levels:
            s.fail("levels", "an empty list", "at least one level; leave the key out to allow any")
            levels = None
    else:
        s.words("levels")
    formats = s.words("formats", ISO_FORMATS)
    if "formats" in s and kind != "datetime":
        s.fail("formats", "formats", f"only for datetime, not {kind}")
    column = Column(
        name=name,
        type=kind,
        unit=s.text("unit") or None,
        description=s.text("description"),
        minimum=low,
        maximum=high,
        levels=levels,
        missing=s.flag("missing", default=True),
        known=not s.flag("unknown_at_prediction", default=False),
        feature=s.flag("feature", default=True),
        formats=formats,
    )
    s.finish()
    return column


def _split(s: Section, contract: Contract) -> Split:
    by = cast('Literal["hash", "time"]', s.choice("by", ("hash", "time"), "hash"))
    column = s.text("column") or None
    if by == "time":
        dates = [c.name for c in contract.columns if c.type == "datetime" and c.known]
        if column not in dates:
            s.fail("column", repr(column), f"a datetime column for a split by time: {', '.join(dates) or 'there is none'}")
    elif column is not None:
        s.fail("column", repr(column), "only for a split by time")
    dates_from = [_moment(s, name, needed=by == "time") for name in ("validation_from", "test_from")]
    if by == "time" and "validation_from" in s and "test_from" in s and all(dates_from) and dates_from[0] >= dates_from[1]:
        s.fail("test_from", "a date that is not after validation_from", "a later date")
    if by == "time":
        for name in ("train", "validation", "test"):
            if name in s:
                s.fail(name, "a share", "only for a split by hash; a split by time has validation_from and test_from")
    shares = [s.number(name, d, low=0.01, high=0.98) for name, d in (("train", 0.7), ("validation", 0.15), ("test", 0.15))]
    train, validation, test = (share or 0.0 for share in shares)
    if abs(train + validation + test - 1) > 1e-9:
        s.fail("train", f"shares that sum to {train + validation + test:g}", "train + validation + test = 1")
    split = Split(by, column, train, validation, test, s.whole("seed", 0), *dates_from)
    s.finish()
    return split


def _moment(s: Section, key: str, *, needed: bool) -> float:
    """A date, with or without a time, as seconds since 1970 UTC."""
    text = s.scalar(key)
    if text is None or not needed:
        if needed:
            s.fail(key, "nothing", "a date such as 2013-08-01, for a split by time")
        elif text is not None:
            s.fail(key, repr(text), "only for a split by time")
        return 0.0
    try:
        return parse_datetime(text, ISO_FORMATS)
    except ValueError:
        s.fail(key, repr(text), "a date such as 2013-08-01 or 2013-08-01T12:00:00")
        return 0.0


def _cleaning(s: Section) -> Cleaning:
    outliers, limits = s.section("outliers"), s.section("limits")
    lower = outliers.number("lower_quantile", 0.0, low=0, high=0.5)
    upper = outliers.number("upper_quantile", 1.0, low=0.5, high=1)
    outliers.finish()
    default = Limits()
    read = {name: limits.number(name, getattr(default, name), low=0, high=1) for name in Limits.__dataclass_fields__}
    limits.finish()
    cleaning = Cleaning(
        duplicates=cast('Literal["drop", "keep"]', s.choice("duplicates", ("drop", "keep"), "drop")),
        outlier_lower=lower or 0.0,
        outlier_upper=1.0 if upper is None else upper,
        missing_numbers=cast(
            'Literal["median", "mean", "zero", "keep"]',
            s.choice("missing_numbers", ("median", "mean", "zero", "keep"), "median"),
        ),
        indicators=s.flag("indicators", default=True),
        limits=Limits(**{name: 0.0 if value is None else value for name, value in read.items()}),
    )
    s.finish()
    return cleaning


def _encodings(s: Section, contract: Contract) -> Encodings:
    names = get_args(Encoding)
    columns = s.section("columns")
    chosen: dict[str, Encoding] = {}
    for name in columns:
        chosen[name] = cast("Encoding", columns.choice(name, names))
        column = contract.by_name.get(name)
        if column is None or column.type != "category" or name == contract.target:
            columns.fail(name, repr(name), "a category column that is not the target")
    columns.finish()
    encodings = Encodings(
        default=cast("Encoding", s.choice("default", names, "auto")),
        one_hot_max_levels=s.whole("one_hot_max_levels", 5, low=2, high=1000),
        smoothing=s.number("smoothing", 20.0, low=0, high=1e6) or 0.0,
        folds=s.whole("folds", 5, low=2, high=20),
        columns=chosen,
    )
    s.finish()
    return encodings


def _features(s: Section, contract: Contract) -> Features:
    parts = s.words("date_parts", Features().date_parts)
    for part in parts:
        if part not in get_args(DatePart):
            s.fail("date_parts", repr(part), f"any of {', '.join(get_args(DatePart))}")
    distances = s.section("distances")
    found: list[Distance] = []
    for name in distances:
        d = distances.section(name)
        ends: list[tuple[str, str]] = []
        for end in ("from", "to"):
            pair = d.words(end)
            numbers = [c for c in pair if c in contract.by_name and contract[c].type == "number" and contract[c].known]
            if len(pair) != 2 or len(numbers) != 2:
                d.fail(end, repr(list(pair)), "[latitude, longitude], two number columns in degrees")
            else:
                ends.append((pair[0], pair[1]))
        d.finish()
        if len(ends) == 2:
            found.append(Distance(name, ends[0], ends[1]))
    distances.finish()
    s.finish()
    return Features(cast("tuple[DatePart, ...]", parts), tuple(found))


def _search(s: Section, contract: Contract) -> Search:
    metrics = METRICS[contract.task]
    families = s.words("families", get_args(Family))
    for family in families:
        if family not in get_args(Family):
            s.fail("families", repr(family), f"any of {', '.join(get_args(Family))}")
    if not families:
        s.fail("families", "an empty list", f"at least one of {', '.join(get_args(Family))}")
    search = Search(
        metric=s.choice("metric", metrics, metrics[0]),
        seconds=s.number("seconds", 30.0, low=1, high=86_400) or 30.0,
        families=cast("tuple[Family, ...]", families),
        threads=s.whole("threads", 1, low=1, high=256),
        seed=s.whole("seed", 0),
        budget_trials=s.whole("budget_trials", 0, low=1, high=10_000) or None if "budget_trials" in s else None,
        ending=cast("Ending", s.choice("ending", get_args(Ending), "auto")),
        class_weight=cast("ClassWeight", s.choice("class_weight", get_args(ClassWeight), "none")),
    )
    if search.class_weight != "none" and contract.task == "regression":
        s.fail("class_weight", "'balanced'", "none, since the task is a regression")
    s.finish()
    return search


def _gates(s: Section, contract: Contract) -> Gates:
    thresholds = s.section("thresholds")
    bounds: dict[str, Bound] = {}
    for metric in thresholds:
        t = thresholds.section(metric)
        if metric not in METRICS[contract.task]:
            thresholds.fail(metric, repr(metric), f"one of {', '.join(METRICS[contract.task])}")
        bounds[metric] = Bound(t.number("min"), t.number("max"))
        if bounds[metric] == Bound():
            thresholds.fail(metric, "no bound", "min, max or both")
        t.finish()
    thresholds.finish()
    champion, slices = s.section("champion"), s.section("slices")
    gates = Gates(
        thresholds=bounds,
        require=cast('Literal["not_worse", "better"]', champion.choice("require", ("not_worse", "better"), "not_worse")),
        confidence=champion.number("confidence", 0.95, low=0.5, high=0.999) or 0.95,
        tolerance=champion.number("tolerance", 0.01, low=0, high=1) or 0.0,
        slice_ratio=slices.number("max_ratio", None, low=1, high=1000),
        slice_rows=slices.whole("min_rows", 100, low=1),
        drift=s.number("drift", None, low=0, high=100),
        single_row_ms=s.number("single_row_ms", None, low=0.001, high=60_000),
    )
    for part in (champion, slices, s):
        part.finish()
    return gates


def _slices(top: Section, contract: Contract) -> tuple[Slice, ...]:
    found: list[Slice] = []
    for node, _ in top.items("slices"):
        item = sub_section(node, top.problems, "slices")
        edges: tuple[float, ...] = ()
        if isinstance(item, Section):
            name = item.text("column", required=True)
            values = item.value("edges") or []
            if not isinstance(values, list) or not all(_is_number(v) for v in values) or values != sorted(set(values)):
                item.fail("edges", repr(values), "rising numbers")
            else:
                edges = tuple(float(v) for v in values)
            item.finish()
        elif item is None:
            continue
        else:
            name = item
        column = contract.by_name.get(name)
        if column is None or name == contract.target:
            top.fail("slices", repr(name), "columns of this file other than the target")
        elif column.type in ("category", "boolean") and edges:
            top.fail("slices", f"edges for {name!r}", f"edges only for numbers, not {column.type}")
        elif column.type in ("number", "integer") and not edges:
            top.fail("slices", f"{name!r} without edges", "a number needs edges: {column: …, edges: […]}")
        elif column.type == "datetime":
            top.fail("slices", f"{name!r} of type datetime", "a category, boolean or number column")
        else:
            found.append(Slice(name, edges))
    return tuple(found)
