"""Raw files read against the contract: typed rows out, and a table of what was wrong with them.

CSV is read by polars, streaming, so a file may be larger than memory. Numbers are first parsed as numbers; only if a
value is none does a second reading take all columns as text, which finds every bad value instead of the first.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from .contract import FALSE_WORDS, ISO_FORMATS, SPACES, TRUE_WORDS, Column, Contract, normalise
from .errors import DataError, shorten
from .project import Limits

ROW: Final = "__row"
BAD: Final = "__bad_"
_LONGEST_FIELD: Final = 10_000_000

FindingKind = Literal["missing_value", "wrong_type", "out_of_range", "unknown_level", "duplicate", "undeclared_column"]
_ACTIONS: Final[dict[str, str]] = {
    "missing_value": "row left out",
    "wrong_type": "value set to missing",
    "out_of_range": "value set to missing",
    "unknown_level": "value set to missing",
    "duplicate": "first one kept",
    "undeclared_column": "column ignored",
}


@dataclass(frozen=True)
class Finding:
    """One kind of mistake in one column.

    Attributes:
        kind: what is wrong.
        column: where; the key's columns for duplicates.
        count: rows concerned.
        share: of all rows, 0 to 1.
        limit: largest share allowed.
        example: the first bad value.
        line: its line in the CSV (the header is line 1), or its row from 1 in other files; None if there is none.
        action: what was done about it.
    """

    kind: FindingKind
    column: str
    count: int
    share: float
    limit: float
    example: str
    line: int | None
    action: str

    @property
    def too_many(self) -> bool:
        """Whether the limit is broken."""
        return self.share > self.limit

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


@dataclass
class Raw:
    """A raw file, typed.

    Attributes:
        frame: lazy typed rows plus `__row` (0-based): numbers and booleans Float64, categories normalised String,
            datetimes Datetime(us), all null where missing or bad.
        rows: how many rows the file has.
        findings: everything found wrong.
    """

    frame: pl.LazyFrame
    rows: int
    findings: list[Finding]


def read_raw(path: Path, contract: Contract, limits: Limits, work: Path, *, need: Sequence[str]) -> Raw:
    """Read and check a CSV or parquet file.

    Args:
        path: the file.
        contract: what it should hold. Columns unknown at prediction are not read.
        limits: largest shares of findings.
        work: folder for the typed copy, which outlives this call.
        need: columns that must be there besides the known ones: the target, for training.

    Raises:
        DataError: the file can't be read, a column is missing, or a limit is broken. Nothing is dropped silently.
    """
    header, raw = open_raw(path, contract)
    # What is needed may not be missing, whatever the contract says of it: a row without a target teaches nothing.
    wanted = [
        replace(c, missing=False) if c.name in need else c
        for c in contract.columns
        if (c.known and c.name != contract.target) or c.name in need
    ]
    missing = [c.name for c in wanted if c.name not in header]
    if missing:
        undeclared = [name for name in header if name not in contract.by_name]
        hint = f"; it has these undeclared ones: {', '.join(undeclared)}" if undeclared else ""
        raise DataError(
            f"{path.name}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}{hint}. Add them to the file, or mend project.yml"
        )
    copy = work / "typed.parquet"
    try:
        typed(raw(text=False), wanted, contract).sink_parquet(copy)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, pl.exceptions.InvalidOperationError):
        try:
            typed(raw(text=True), wanted, contract).sink_parquet(copy)
        except pl.exceptions.PolarsError as error:
            raise _unreadable(path, header, error) from None
    frame = pl.scan_parquet(copy)
    rows = int(frame.select(pl.len()).collect().item())
    if not rows:
        raise DataError(f"{path.name}: found no rows; allowed: at least one below the header")
    findings = _find(frame, wanted, rows, limits)
    lines = line_numbers(path, {f.line for f in findings if f.line is not None})
    findings = [replace(f, line=lines.get(f.line)) if f.line is not None else f for f in findings]
    findings += [
        Finding("undeclared_column", name, rows, 1.0, 1.0, "", None, _ACTIONS["undeclared_column"])
        for name in header
        if name not in contract.by_name
    ]
    return Raw(_clean(frame, wanted), rows, findings)


def line_numbers(path: Path, rows: AbstractSet[int]) -> dict[int, int]:
    """The lines on which 0-based data rows of a CSV begin (the header is line 1); for other files, the rows from 1.

    A quoted value may hold line breaks, so where the file has any quote, its records are counted.
    """
    path = _only_file(path)
    if path.suffix == ".parquet":
        return {row: row + 1 for row in rows}
    if path.suffix in JSON_LINES:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            begins_of = [number for number, line in enumerate(lines, 1) if line.strip()]
        return {row: begins_of[row] for row in rows}
    with path.open("rb") as raw:
        quoted = any(b'"' in block for block in iter(lambda: raw.read(1 << 20), b""))
    if not quoted or not rows:
        return {row: row + 2 for row in rows}
    found: dict[int, int] = {}
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        reader = csv.reader(file)
        next(reader, None)
        begins = reader.line_num + 1
        for row, _ in enumerate(reader):
            if row in rows:
                found[row] = begins
                if len(found) == len(rows):
                    break
            begins = reader.line_num + 1
    return found


def _only_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(p for p in path.iterdir() if p.suffix in (".csv", ".parquet"))
    if len(files) != 1:
        raise DataError(f"{path}: found {len(files)} CSV or parquet files in the folder; allowed: exactly one")
    return files[0]


def read_records(path: Path, header: Sequence[str], missing: Sequence[str]) -> tuple[pl.DataFrame, dict[int, str]]:
    """A CSV that polars refuses as a whole, record by record.

    Args:
        path: a CSV file.
        header: its columns.
        missing: texts that count as missing.

    Returns:
        Its rows as texts with `__row`, and what is wrong with those that are no record of the table; they are all null.
    """
    broken: dict[int, str] = {}
    rows: list[list[str | None]] = []
    nothing: list[str | None] = [None] * len(header)
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        records = csv.reader(file)
        next(records, None)
        for row, record in enumerate(records):
            if len(record) != len(header):
                broken[row] = f"found {len(record)} fields; allowed: {len(header)}, as the header has"
            elif any("\udc80" <= character <= "\udcff" for field in record for character in field):
                broken[row] = "found bytes that are not UTF-8; allowed: UTF-8"
            rows.append(nothing if row in broken else [None if field in missing else field for field in record])
    frame = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")
    return frame.with_row_index(ROW), broken


JSON_LINES: Final = (".jsonl", ".ndjson")


def read_json_lines(path: Path, names: Sequence[str]) -> tuple[pl.DataFrame, dict[int, str]]:
    """The lines of a file of JSON objects as texts, and row → sentence for those that are none. Blank lines are no rows.

    Args:
        path: the file, in UTF-8.
        names: the columns wanted; a key that a line lacks, or null, is a missing value.
    """
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    broken: dict[int, str] = {}
    row = -1
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            row += 1
            found: dict[str, Any] = {}
            try:
                value = json.loads(line)
                if isinstance(value, dict):
                    found = value
                else:
                    broken[row] = f"found {shorten(value)}; allowed: an object, one per line"
            except ValueError as error:
                broken[row] = f"is no JSON ({error}); allowed: an object, one per line"
            for name, values in columns.items():
                value = found.get(name)
                if isinstance(value, (dict, list)):
                    broken[row] = f"field {name!r}: found {shorten(value)}; allowed: a text, a number, true, false or null"
                    value = None
                values.append(value if value is None or isinstance(value, str) else json.dumps(value))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String)).with_row_index(ROW)
    return frame, broken


def _unreadable(path: Path, header: Sequence[str], error: Exception) -> DataError:
    """Which line it is that can't be read."""
    reason = str(error).splitlines()[0]
    if path.suffix != ".parquet":
        _, broken = read_records(_only_file(path), header, ())
        for row, problem in broken.items():
            return DataError(f"{path.name}:{line_numbers(path, {row})[row]}: {problem}; mend the line")
    return DataError(f"{path.name}: can't be read as a table: {reason}")


def refuse_if_too_many(findings: Sequence[Finding], path: Path) -> None:
    """Raise `DataError` with every limit that a finding broke."""
    broken = [f for f in findings if f.too_many]
    if broken:
        lines = [
            f"{path.name}: {f.kind.replace('_', ' ')} in {f.column}: {f.count:,} rows ({f.share:.2%}), limit {f.limit:.2%} "
            f"(cleaning.limits.{f.kind} of project.yml){f', first at line {f.line}: {f.example}' if f.line is not None else ''}"
            for f in broken
        ]
        raise DataError("\n".join(lines))


def open_raw(path: Path, contract: Contract) -> tuple[list[str], Any]:
    """Columns of a file, and a function `scan(text=…)` that gives its lazy rows, as texts or with numbers parsed.

    Raises:
        DataError: it is not there, not a table, or has a column twice.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file; pass the path of a CSV or parquet file")
    path = _only_file(path)
    if path.suffix == ".parquet":
        header = pl.scan_parquet(path).collect_schema().names()

        def scan_parquet(*, text: bool) -> pl.LazyFrame:
            frame = pl.scan_parquet(path).with_row_index(ROW)
            return frame.with_columns(pl.all().exclude(ROW).cast(pl.String)) if text else frame

        return header, scan_parquet
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
            header = next(csv.reader(file), [])
        "".join(header).encode()
    except (UnicodeEncodeError, csv.Error) as error:
        raise DataError(f"{path.name}: line 1 is not a CSV header in UTF-8 ({error})") from None
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path.name}:1: column {', '.join(twice)} is there twice; remove one")
    if not header:
        raise DataError(f"{path.name}: is empty; allowed: a header and rows")

    def scan_csv(*, text: bool) -> pl.LazyFrame:
        schema: dict[str, Any] = {
            name: pl.Float64 if not text and name in contract.by_name and contract[name].type in ("number", "integer") else pl.String
            for name in header
        }
        return pl.scan_csv(path, schema=schema, null_values=list(contract.missing_values), row_index_name=ROW, encoding="utf8")

    return header, scan_csv


def typed(frame: pl.LazyFrame, columns: Sequence[Column], contract: Contract) -> pl.LazyFrame:
    """Rows with every column typed, `__row`, and for each column but categories `__bad_<name>`: a text that was no value."""
    schema = frame.collect_schema()
    missing = list(contract.missing_values)
    out: list[pl.Expr] = [pl.col(ROW).cast(pl.Int64)]
    for c in columns:
        value = pl.col(c.name)
        text = schema[c.name] == pl.String
        if c.type in ("number", "integer"):
            if text:
                stripped = value.str.strip_chars(SPACES)
                value = pl.when(~stripped.is_in(missing)).then(stripped)
            number = value.cast(pl.Float64, strict=False)
            good = number.is_finite() if c.type == "number" else number.is_finite() & (number.floor() == number)
            out.append(pl.when(good).then(number).alias(c.name))
            # A column of numbers without a bad value costs next to nothing here: parquet stores a run of nulls.
            out.append(pl.when(value.is_not_null() & ~good.fill_null(value=False)).then(value.cast(pl.String)).alias(BAD + c.name))
            continue
        if not text:
            value = value.cast(pl.String)
        stripped = value.str.strip_chars(SPACES)
        if c.type == "category":
            out.append(pl.when(~stripped.is_in(missing)).then(stripped.str.to_lowercase()).alias(c.name))
            continue
        value = pl.when(~stripped.is_in(missing)).then(stripped)
        if c.type == "boolean":
            words = value.str.to_lowercase()
            parsed: pl.Expr = pl.when(words.is_in(TRUE_WORDS)).then(1.0).when(words.is_in(FALSE_WORDS)).then(0.0)
        elif not text and isinstance(schema[c.name], pl.Datetime | pl.Date):
            moment = pl.col(c.name)
            if getattr(schema[c.name], "time_zone", None):
                moment = moment.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            parsed = moment.cast(pl.Datetime("us"))
        else:
            parsed = pl.coalesce(_datetime(value, pattern) for pattern in c.formats)
        out.append(parsed.alias(c.name))
        out.append(pl.when(value.is_not_null() & parsed.is_null()).then(value).alias(BAD + c.name))
    return frame.select(out)


def _datetime(text: pl.Expr, pattern: str) -> pl.Expr:
    if pattern in ISO_FORMATS:
        # As in a request: all digits are there.
        length = len(datetime(2000, 1, 1, tzinfo=timezone.utc).strftime(pattern))
        text = pl.when(text.str.len_bytes() == length).then(text)
    if not any(code in pattern for code in ("%H", "%I", "%T", "%R", "%s")):
        return text.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    if "%z" in pattern:
        zoned = text.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
        return zoned.dt.replace_time_zone(None)
    return text.str.to_datetime(pattern, strict=False, time_unit="us", ambiguous="null")


def row_tests(c: Column) -> dict[FindingKind, pl.Expr]:
    """What can be wrong with a typed column's value: kind → expression that is true (or null) where it is."""
    value = pl.col(c.name)
    tests: dict[FindingKind, pl.Expr] = {}
    if c.type != "category":
        tests["wrong_type"] = pl.col(BAD + c.name).is_not_null()
    if c.minimum is not None or c.maximum is not None:
        tests["out_of_range"] = ~_in_range(c)
    if c.levels is not None:
        tests["unknown_level"] = ~value.is_in([normalise(level) for level in c.levels])
    if not c.missing:
        missing = value.is_null()
        tests["missing_value"] = missing & pl.col(BAD + c.name).is_null() if c.type != "category" else missing
    return tests


def _in_range(c: Column) -> pl.Expr:
    value, inside = pl.col(c.name), pl.lit(value=True)
    if c.minimum is not None:
        inside = inside & (value >= c.minimum)
    if c.maximum is not None:
        inside = inside & (value <= c.maximum)
    return inside


def _find(frame: pl.LazyFrame, columns: Sequence[Column], rows: int, limits: Limits) -> list[Finding]:
    """Findings whose `line` is still the 0-based row."""
    cells = [(c, kind, test) for c in columns for kind, test in row_tests(c).items()]
    if not cells:
        return []
    counts = frame.select(pl.coalesce(test.sum(), 0).alias(str(i)) for i, (_, _, test) in enumerate(cells)).collect().row(0)
    findings = []
    for (c, kind, test), count in zip(cells, counts, strict=True):
        if not count:
            continue
        shown = BAD + c.name if kind == "wrong_type" else c.name
        row, value = frame.filter(test).select(ROW, shown).head(1).collect().row(0)
        example = "" if value is None else shorten(value)
        action = _ACTIONS[kind] if c.missing or kind == "missing_value" else "row left out"
        findings.append(Finding(kind, c.name, int(count), count / rows, getattr(limits, kind), example, row, action))
    return findings


def _clean(frame: pl.LazyFrame, columns: Sequence[Column]) -> pl.LazyFrame:
    """Values that break the contract are set to missing; rows that then lack a required value are left out."""
    cleaned = []
    for c in columns:
        value = pl.col(c.name)
        if c.minimum is not None or c.maximum is not None:
            value = pl.when(_in_range(c)).then(value)
        if c.levels is not None:
            value = pl.when(value.is_in([normalise(level) for level in c.levels])).then(value)
        cleaned.append(value.alias(c.name))
    required = [pl.col(c.name).is_not_null() for c in columns if not c.missing]
    frame = frame.select(ROW, *cleaned)
    return frame.filter(pl.all_horizontal(required)) if required else frame


def findings_table(findings: Sequence[Finding]) -> str:
    """The findings as an aligned text table."""
    if not findings:
        return "no findings: every value fits the contract"
    head = ("finding", "column", "rows", "share", "limit", "example", "line", "what was done")
    body = [
        (
            f.kind.replace("_", " "),
            f.column,
            f"{f.count:,}",
            f"{f.share:.2%}",
            f"{f.limit:.2%}" if f.kind != "undeclared_column" else "",
            f.example,
            "" if f.line is None else f"{f.line:,}",
            f.action,
        )
        for f in findings
    ]
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
    right = {2, 3, 4, 6}
    lines = [
        "  ".join(cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in (head, *body)
    ]
    return "\n".join(line.rstrip() for line in (lines[0], "  ".join("─" * w for w in widths), *lines[1:]))
