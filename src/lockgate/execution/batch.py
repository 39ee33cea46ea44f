"""An invocation of a batch endpoint as a job file: a pipeline whose one node deals the files out, as Azure makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

NODE: Final = "batchscoring"
OUTPUT: Final = "score"
DEFAULTS: Final = {
    "mini_batch_size": 10,
    "max_concurrency_per_instance": 1,
    "instance_count": 1,
    "output_action": "append_row",
    "output_file_name": "predictions.csv",
    "error_threshold": -1,
    "max_retries": 3,
    "timeout": 30,
}


def settings_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a deployment with their defaults: those below `settings` and, in the older form, those beside it."""
    given = {**spec, **(spec.get("settings") or {})}
    retry = given.get("retry_settings") or {}
    resources = spec.get("resources") or {}
    found = {
        **DEFAULTS,
        **{key: given[key] for key in DEFAULTS if given.get(key) is not None},
        **{k: v for k, v in retry.items() if v is not None},
    }
    if resources.get("instance_count") is not None:
        found["instance_count"] = resources["instance_count"]
    found["environment_variables"] = {
        **(spec.get("environment_variables") or {}),
        **((spec.get("settings") or {}).get("environment_variables") or {}),
    }
    return found


def write_job(
    path: Path, endpoint: str, deployment: str, spec: Mapping[str, Any], launch: Mapping[str, Any], data: Mapping[str, str], *,
    name: str, experiment: str, output_path: str, changed: Mapping[str, int],
) -> None:  # fmt: skip
    """Write the job's file.

    Args:
        path: where.
        endpoint, deployment: who is asked.
        spec, launch: of the deployment.
        data: type and path of the input.
        name, experiment: of the job; empty: new ones.
        output_path: a place in a datastore that the output goes to as well; empty: none.
        changed: settings that this invocation changes.
    """
    settings = {**settings_of(spec), **changed}
    append = str(settings["output_action"]).lower().replace("_", "") == "appendrow"
    variables = {key: str(value) for key, value in settings["environment_variables"].items()}
    if launch["model"]:
        variables["AZUREML_MODEL_DIR"] = launch["model"]
    if append:
        variables["LOCKGATE_OUTPUT_FILE_NAME"] = str(settings["output_file_name"])
    task = {"type": "run_function", "code": launch["code"], "entry_script": launch["script"], "environment": {"image": "batch"}}
    if launch.get("conda_file"):
        conda = path.with_name("conda.yml")
        conda.write_text(yaml.safe_dump(launch["conda_file"], sort_keys=False), encoding="utf-8")
        task["environment"] = {"image": "batch", "conda_file": str(conda)}
    if append:
        task["append_row_to"] = f"${{{{outputs.{OUTPUT}}}}}"
    job = {
        "type": "pipeline",
        **({"name": name} if name else {}),
        "display_name": f"{endpoint}/{deployment}",
        "experiment_name": experiment or endpoint,
        "properties": {"azureml.batch_endpoint": endpoint, "azureml.batch_deployment": deployment},
        "settings": {"force_rerun": True},
        "outputs": {OUTPUT: {"type": "uri_folder", **({"path": output_path} if output_path else {})}},
        "jobs": {
            NODE: {
                "type": "parallel",
                "task": task,
                "input_data": "${{inputs.data}}",
                "inputs": {"data": dict(data)},
                "outputs": {OUTPUT: {"type": "uri_folder", "path": f"${{{{parent.outputs.{OUTPUT}}}}}"}},
                "mini_batch_size": str(settings["mini_batch_size"]),
                "max_concurrency_per_instance": int(settings["max_concurrency_per_instance"]),
                "resources": {"instance_count": int(settings["instance_count"])},
                "error_threshold": int(settings["error_threshold"]),
                "retry_settings": {"max_retries": int(settings["max_retries"]), "timeout": int(settings["timeout"])},
                "environment_variables": variables,
            }
        },
    }
    path.write_text(yaml.safe_dump(job, sort_keys=False, allow_unicode=True), encoding="utf-8")
