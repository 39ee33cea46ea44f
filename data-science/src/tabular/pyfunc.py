"""What MLflow loads a package or a candidate with: `mlflow.pyfunc.load_model(folder).predict(frame)`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .contract import Contract
from .onnx_session import open_session, run_session
from .scoring import Scorer


class ServedModel:
    """A packaged model: raw columns in, predictions out."""

    def __init__(self, folder: Path) -> None:
        self._scorer = Scorer(folder)

    def predict(self, frame: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's signature
        """A data frame with `prediction`, and a probability per class."""
        import pandas as pd

        records = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
        answer = self._scorer.answer(self._scorer.typed_rows(records))
        columns: dict[str, Any] = {"prediction": answer["predictions"]}
        for label in self._scorer.contract.classes:
            columns[f"probability_{label}"] = [row[label] for row in answer["probabilities"]]
        return pd.DataFrame(columns, index=frame.index)


class FeatureModel:
    """A candidate: features in, predictions (or probabilities) out."""

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / "candidate.json").read_text())
        self._features = list(facts["features"])
        self._classes = Contract.from_dict(json.loads((folder / "contract.json").read_text())).classes
        self._session = open_session(folder / "model.onnx")

    def predict(self, frame: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's signature
        """An array of shape (n,), or a data frame of probabilities with one column per class."""
        values = np.ascontiguousarray(frame[self._features].to_numpy(), dtype=np.float32)
        result = run_session(self._session, values)
        if not self._classes:
            return result[:, 0]
        import pandas as pd

        return pd.DataFrame(result, columns=list(self._classes), index=frame.index)


def _load_pyfunc(path: str) -> Any:
    folder = Path(path)
    return ServedModel(folder) if (folder / "recipe.json").exists() else FeatureModel(folder)
