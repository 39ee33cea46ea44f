"""The scoring path: a packaged model, answering. Only the standard library, NumPy and ONNX Runtime are imported."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .calling import called, factors_of
from .contract import Contract, Value
from .errors import PackageError
from .onnx_session import open_session, run_ordered, run_session
from .recipe import Recipe
from .recipe_arrays import ArrayRecipe
from .request import parse, typed_rows

_MANY: Final = 1_000
"""Rows from which ordering them costs less than it gains."""


class Scorer:
    """A packaged model.

    Args:
        folder: of the package; its files are compared with `manifest.json` before any is used.
        threads: of ONNX Runtime.

    Raises:
        PackageError: a file is missing, was added or changed.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        check_manifest(folder)
        self.folder = folder
        self.contract = Contract.from_dict(json.loads((folder / "contract.json").read_text()))
        self.recipe_form = Recipe.load(folder / "recipe.json")
        self.recipe = ArrayRecipe(self.recipe_form, self.contract)
        self.session = open_session(folder / "model.onnx", threads)
        self.factors = factors_of(self.session)

    def typed_rows(self, rows: Sequence[Any]) -> list[dict[str, Value]]:
        """Rows of a request, typed; see `request.typed_rows`."""
        return typed_rows(rows, self.contract)

    def predict_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """From features of shape (n, features): shape (n, 1), or (n, classes) probabilities."""
        return (run_ordered if len(features) >= _MANY else run_session)(self.session, features)

    def predict(self, rows: Sequence[Mapping[str, Value]]) -> NDArray[np.float32]:
        """From typed rows: shape (n, 1), or (n, classes) probabilities."""
        return run_session(self.session, self.recipe.apply(self.recipe.columns(rows)))

    def answer(self, rows: Sequence[Mapping[str, Value]]) -> dict[str, Any]:
        """From typed rows: what a caller gets."""
        return self.as_answer(self.predict(rows))

    def as_answer(self, predicted: NDArray[Any]) -> dict[str, Any]:
        """`{"predictions": […]}`, for a classification with `"probabilities": [{class: probability}]`."""
        classes = self.contract.classes
        if not classes:
            return {"predictions": predicted[:, 0].tolist()}
        return {
            "predictions": [classes[i] for i in called(predicted, self.factors)],
            "probabilities": [dict(zip(classes, row, strict=True)) for row in predicted.tolist()],
        }

    def score(self, body: str | bytes) -> dict[str, Any]:
        """The answer to a request's body.

        Raises:
            RequestError: the body breaks the contract.
        """
        return self.answer(typed_rows(parse(body), self.contract))


def check_manifest(folder: Path) -> str:
    """Compare a package with its manifest.

    What Python compiles in `code/` when MLflow loads a package is passed over; serving reads nothing of that folder.

    Returns:
        The manifest's SHA-256, which names the package's bytes.

    Raises:
        PackageError: a file is missing, was added or changed.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise PackageError(f"{folder.name}: has no manifest.json; it is not a model that register.py packaged")
    again = "take the model from the registry again"
    try:
        listed = dict(json.loads(path.read_bytes())["files"])
    except (ValueError, KeyError, TypeError):
        raise PackageError(f"{folder.name}: manifest.json is damaged; {again}") from None
    present = {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
    present = {name for name in present if not (name.startswith("code/") and "/__pycache__/" in name)}
    present -= {"manifest.json", *_ADDED_BY_REGISTRIES}
    if present != set(listed):
        wrong = sorted(present ^ set(listed))
        raise PackageError(f"{folder.name}: {wrong[0]} is not as manifest.json lists it; {again}")
    for name, sha256 in listed.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256:
            raise PackageError(f"{folder.name}: the bytes of {name} are not those of manifest.json; {again}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


_ADDED_BY_REGISTRIES = {"registered_model_meta"}
"""Written into a model's folder by MLflow when it is downloaded from a registry."""


def find_package(root: str | None = None) -> Path:
    """The package below Azure's `AZUREML_MODEL_DIR`, which holds it directly or one folder down.

    Raises:
        PackageError: there is none, or more than one.
    """
    text = root or os.environ.get("AZUREML_MODEL_DIR")
    if not text:
        raise PackageError("AZUREML_MODEL_DIR is not set; set it to the folder of a registered model")
    folder = Path(text)
    if (folder / "MLmodel").exists():
        return folder
    found = sorted(p.parent for p in folder.glob("*/MLmodel"))
    if len(found) != 1:
        raise PackageError(f"AZUREML_MODEL_DIR={text}: found {len(found)} models in it; allowed: exactly one")
    return found[0]
