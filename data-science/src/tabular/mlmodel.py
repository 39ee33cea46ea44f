"""The files that make a folder an MLflow model: MLmodel, its environment and the code that loads it.

Written as the format is documented, without importing MLflow (which takes seconds); a test loads the result with MLflow.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from .contract import Contract

SERVING_MODULES: Final = (
    "__init__", "calling", "contract", "errors", "expressions", "onnx_session", "pyfunc", "recipe", "recipe_arrays", "request",
    "scoring",
)  # fmt: skip
"""What a package carries to load itself: the scoring path and nothing more."""
SERVING_REQUIREMENTS: Final = ("numpy", "onnxruntime")


def write_mlmodel(folder: Path, inputs: Sequence[dict[str, Any]], contract: Contract) -> None:
    """Make a folder an MLflow model.

    Args:
        folder: gets MLmodel, requirements.txt, conda.yaml, python_env.yaml and code/.
        inputs: the signature's inputs, as MLflow writes them: name, type, required.
        contract: gives the signature's outputs.
    """
    import yaml

    code = folder / "code" / "tabular"
    code.mkdir(parents=True, exist_ok=True)
    for name in SERVING_MODULES:
        shutil.copyfile(Path(__file__).parent / f"{name}.py", code / f"{name}.py")
    pins = [f"{name}=={importlib.metadata.version(name)}" for name in SERVING_REQUIREMENTS]
    mlflow_pin = f"mlflow-skinny=={importlib.metadata.version('mlflow-skinny')}"
    requirements = [mlflow_pin, *pins, "pandas"]
    python = platform.python_version()
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    environment = {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
    (folder / "python_env.yaml").write_text(yaml.safe_dump(environment, sort_keys=False))
    conda = {"name": "model", "channels": ["conda-forge"], "dependencies": [f"python={python}", "pip", {"pip": requirements}]}
    (folder / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False))
    model = {
        "flavors": {
            "python_function": {
                "loader_module": "tabular.pyfunc",
                "code": "code",
                "python_version": python,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            }
        },
        "mlflow_version": importlib.metadata.version("mlflow-skinny"),
        "model_uuid": uuid.uuid4().hex,
        "utc_time_created": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "signature": {"inputs": json.dumps(list(inputs)), "outputs": json.dumps(_outputs(contract)), "params": None},
    }
    if (folder / "input_example.json").exists():
        model["saved_input_example_info"] = {"artifact_path": "input_example.json", "type": "json_object"}
    (folder / "MLmodel").write_text(yaml.safe_dump(model, sort_keys=False, allow_unicode=True))


def _outputs(contract: Contract) -> list[dict[str, str]]:
    if contract.task == "regression":
        return [{"name": "prediction", "type": "double"}]
    return [
        {"name": "prediction", "type": "string"},
        *({"name": f"probability_{label}", "type": "double"} for label in contract.classes),
    ]


def signature_inputs(contract: Contract) -> list[dict[str, Any]]:
    """The inputs of a served model: one per column of a request, with MLflow's type names.

    Numbers are "any": MLflow refuses a column of whole numbers where a double is declared, and 589 miles are no mistake.
    The package checks every value by the contract itself.
    """
    kinds = {"number": "any", "integer": "any", "category": "string", "boolean": "boolean", "datetime": "string"}
    return [{"name": c.name, "type": kinds[c.type], "required": not c.missing} for c in contract.inputs]
