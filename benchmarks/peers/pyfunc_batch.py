"""The peer of bench_batch.py: an MLflow pyfunc over pandas, with the same recipe and the same LightGBM.

python pyfunc_batch.py PACKAGE ROWS.csv REPEAT OUTPUT THREADS
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import lightgbm
import mlflow.pyfunc
import numpy as np
import pandas as pd

THREADS = int(sys.argv[5])


def expression(tree: object, frame: pd.DataFrame) -> object:
    """A derived column, in pandas."""
    if not isinstance(tree, list):
        return tree
    name, *rest = tree
    if name == "column":
        return frame[rest[0]]
    if name == "date_part":
        part = {"weekday": "dayofweek", "day_of_year": "dayofyear"}.get(rest[1], rest[1])
        return getattr(frame[rest[0][1]].dt, part).astype("float64") + (rest[1] == "weekday")
    a = [expression(item, frame) for item in rest]
    functions = {
        "add": lambda x, y: x + y,
        "subtract": lambda x, y: x - y,
        "multiply": lambda x, y: x * y,
        "divide": lambda x, y: x / y,
        "floor": np.floor,
        "minimum": np.minimum,
        "maximum": np.maximum,
        "less": lambda x, y: (pd.Series(x < y)).astype("float64").where(~pd.isna(x + y)),
        "where": lambda c, x, y: pd.Series(np.where(c != 0, x, y)).where(~pd.isna(c).to_numpy()),
        "concat": lambda x, y: x + y,
    }
    return functions[name](*a)


class Pyfunc(mlflow.pyfunc.PythonModel):
    """Recipe and LightGBM behind MLflow's interface."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        package = Path(context.artifacts["package"])
        self.recipe = json.loads((package / "recipe.json").read_text())
        self.contract = json.loads((package / "contract.json").read_text())
        self.booster = lightgbm.Booster(model_file=str(package / "native" / "lightgbm.txt"))

    def predict(self, context: object, model_input: pd.DataFrame, params: object = None) -> np.ndarray:  # noqa: ARG002
        frame = model_input.copy()
        for column in self.contract["columns"]:
            name = column["name"]
            if name not in frame:
                continue
            if column["type"] == "category":
                frame[name] = frame[name].str.strip().str.lower()
            elif column["type"] == "datetime":
                frame[name] = pd.to_datetime(frame[name], format="%Y-%m-%dT%H:%M:%SZ")
        features = {}
        indicators = {}
        for number in self.recipe["numbers"]:
            values = pd.Series(expression(number["source"], frame)).astype("float64").replace([np.inf, -np.inf], np.nan)
            if number["indicator"]:
                indicators[f"{number['name']}__missing"] = values.isna().astype("float32")
            features[number["name"]] = values.fillna(number["fill"]).clip(number["lower"], number["upper"]).astype("float32")
        features |= indicators
        for category in self.recipe["categories"]:
            levels = pd.Series(expression(category["source"], frame))
            for position, output in enumerate(category["outputs"]):
                table = {level: values[position] for level, values in category["table"].items()}
                found = levels.map(table).fillna(category["unseen"][position]).where(levels.notna(), category["missing"][position])
                features[output] = found.astype("float32")
        return self.booster.predict(pd.DataFrame(features), num_threads=THREADS)


def main() -> None:
    package, csv, repeat, output = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(f"{folder}/m", python_model=Pyfunc(), artifacts={"package": package}, pip_requirements=["lightgbm"])
        model = mlflow.pyfunc.load_model(f"{folder}/m")
        times = []
        for turn in range(repeat + 1):
            begun = time.perf_counter()
            lines = [str(value) for value in model.predict(pd.read_csv(csv, dtype={"flight": "str"}))]
            if turn:
                times.append(time.perf_counter() - begun)
    output.write_text("\n".join(lines))
    print(json.dumps(times))


if __name__ == "__main__":
    main()
