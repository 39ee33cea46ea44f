"""A candidate: the folder a trainer writes and a `predict` node reads. An MLflow model that takes features.

MLmodel  requirements.txt  python_env.yaml  conda.yaml  code/   an MLflow pyfunc, loadable anywhere
candidate.json          name, family, trees, settings, leaderboard
native/                 the trainer's own model
endings/                of an AutoML search: accurate/model.onnx and fast/model.onnx, one of which is model.onnx
model.onnx              the same model for ONNX Runtime; absent if it can't be exported (export_error in candidate.json)
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import ensemble, families, graph
from .contract import Contract
from .documents import to_json, write_json
from .errors import DataError
from .mlmodel import write_mlmodel


@dataclass
class Facts:
    """What is known of a candidate besides its models."""

    name: str
    family: str
    trees: int
    features: tuple[str, ...]
    seconds: float
    metric: str
    validation: float
    baseline: float
    settings: dict[str, Any] = field(default_factory=dict)
    leaderboard: list[dict[str, Any]] = field(default_factory=list)
    export_error: str | None = None
    ending: str = ""

    def to_json(self) -> str:
        """JSON, with what is not a number as null."""
        return to_json(asdict(self))


def single(model: families.Model, features: int) -> Any:
    """The ONNX model of one native model."""
    classes = 0 if model.transform == "identity" else max(2, model.form().outputs)
    return graph.build([graph.Part([model.form()])], features, classes)


def write_candidate(
    folder: Path, model: families.Model | ensemble.Ensemble, facts: Facts, contract: Contract, onnx: bytes | None = None
) -> None:
    """Write a candidate folder. A model that can't be exported is written without its ONNX, and says why."""
    ensemble.save(model, folder / "native")
    try:
        if onnx is None:
            width = len(facts.features)
            graph_ = model.to_onnx(width) if isinstance(model, ensemble.Ensemble) else single(model, width)
            onnx = graph_.SerializeToString()
    except Exception as error:  # noqa: BLE001 - whatever a library raises, the outcome is the same: not servable, and the gate says so
        facts.export_error = f"{type(error).__name__}: {error}"
    else:
        (folder / "model.onnx").write_bytes(onnx)
    (folder / "candidate.json").write_text(facts.to_json())
    write_json(contract.to_dict(), folder / "contract.json")
    inputs = [{"name": name, "type": "float"} for name in facts.features]
    write_mlmodel(folder, inputs, contract)


@dataclass
class Candidate:
    """A candidate that was read.

    Attributes:
        facts: from candidate.json; for a model of another origin, its flavors only.
        native: predicts from features of shape (n, features), in the order of `facts.features`.
        servable: whether there is an ONNX model.
        factors: by which rows are called; see `calling`.
    """

    folder: Path
    facts: Facts
    native: Any
    servable: bool
    factors: tuple[float, ...] = ()

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Native predictions: (n,) or (n, classes)."""
        return np.asarray(self.native(features), dtype=np.float64)


def read_candidate(folder: Path, name: str, contract: Contract, features: tuple[str, ...], *, trust: bool = False) -> Candidate:
    """Read a candidate folder.

    Args:
        folder: what a trainer wrote.
        name: of the candidate.
        contract: task and classes.
        features: names of the features, for a model that does not say them.
        trust: whether another library's MLflow model (Azure's AutoML) may be loaded, which runs code that is in it.

    Raises:
        DataError: it is no MLflow model, or another library's and not trusted.
    """
    if not (folder / "MLmodel").exists():
        raise DataError(f"{folder}: has no MLmodel; pass the model folder that a trainer wrote")
    path = folder / "candidate.json"
    if path.exists():
        data = json.loads(path.read_text())
        facts = Facts(**{**data, "features": tuple(data["features"])})
        model = ensemble.load(folder / "native")
        factors = model.factors if isinstance(model, ensemble.Ensemble) else ()
        return Candidate(folder, facts, model.predict, (folder / "model.onnx").exists(), factors)
    if not trust:
        raise DataError(f"{folder}: is another library's model; loading it runs code that is in it, so it has to be allowed: --trust yes")
    return _foreign(folder, name, contract, features)


def _foreign(folder: Path, name: str, contract: Contract, features: tuple[str, ...]) -> Candidate:
    import mlflow.pyfunc
    import pandas as pd

    loaded = mlflow.pyfunc.load_model(str(folder))
    classes = len(contract.classes)

    def predict(values: NDArray[np.float32]) -> NDArray[np.float64]:
        frame = pd.DataFrame(values, columns=list(features))
        inner = loaded.unwrap_python_model() if hasattr(loaded, "unwrap_python_model") else loaded
        if classes and hasattr(inner, "predict_proba"):
            return np.asarray(inner.predict_proba(frame), dtype=np.float64)
        found = np.asarray(loaded.predict(frame))
        return np.eye(classes)[found.astype(np.int64)] if classes and found.ndim == 1 else found.astype(np.float64)

    reason = "it is another library's model, which has no ONNX export here"
    facts = Facts(name, "mlflow", 0, features, 0.0, "", float("nan"), float("nan"), export_error=reason)
    return Candidate(folder, facts, predict, servable=False)
