"""`AzureMLJobWaitTask@1`: waits for an Azure ML job, asking `az` how it stands."""

from __future__ import annotations

import json
import subprocess
from typing import Final

from lockgate.agent.task import StepHost, Task, TaskError
from lockgate.agent.tasks._azure import log_in
from lockgate.pipelines.task_specification import Input, TaskSpecification

_EVERY: Final = 1.0
"""Seconds between two questions. Azure asks every few minutes; on the desk a question costs little."""
_TWO_DAYS: Final = 172_800.0
_ENDED: Final = ("Completed", "Failed", "Canceled", "CancelRequested", "NotResponding")
_KNOWN: Final = ("NotStarted", "Queued", "Preparing", "Provisioning", "Starting", "Running", "Finalizing", "Paused", "Unknown", *_ENDED)


def _status(host: StepHost, environment: dict[str, str]) -> str:
    name = host.inputs["azureMLJobName"]
    command = ["az", "ml", "job", "show", "--name", name, "--resource-group", host.inputs["resourceGroupName"]]
    command += ["--workspace-name", host.inputs["azureMLWorkspaceName"], "--output", "json"]
    try:
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    except FileNotFoundError:
        raise TaskError("found no az on PATH; run it with `lockgate run`, which brings its own, or install the Azure CLI") from None
    if asked.returncode:
        last = asked.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise TaskError(f"az ml job show failed with code {asked.returncode}: {last[0]}")
    try:
        status = json.loads(asked.stdout).get("status")
    except (ValueError, AttributeError):
        raise TaskError("az ml job show printed no JSON object") from None
    if status not in _KNOWN:
        raise TaskError(f"job {name!r} has the status {status!r}; known: {', '.join(_KNOWN)}")
    return str(status)


def _run(host: StepHost) -> None:
    name = host.inputs["azureMLJobName"]
    config = host.folders.temp / ".azclitask"
    log_in(host.inputs["serviceConnection"], config)
    environment = {**host.environment, "AZURE_CONFIG_DIR": str(config)}
    before, waited = "", 0.0
    while True:
        status = _status(host, environment)
        if status != before:
            host.say(f"job {name}: {status}")
            before = status
        if status == "Completed":
            return
        if status in _ENDED and status != "CancelRequested":
            raise TaskError(f"job {name!r} ended as {status}; look at its log: az ml job stream --name {name}")
        if waited >= _TWO_DAYS:
            raise TaskError(f"job {name!r} is still {status} after two days, the longest this task waits")
        host.wait(_EVERY)
        waited += _EVERY


TASK = Task(
    TaskSpecification(
        "AzureMLJobWaitTask",
        (1,),
        "waits for an Azure ML job without an agent",
        (
            Input("serviceConnection", "the service connection", aliases=("azureSubscription",), required=True),
            Input("resourceGroupName", "the workspace's resource group", required=True),
            Input("azureMLWorkspaceName", "the workspace", required=True),
            Input("azureMLJobName", "the job", required=True),
        ),
        where="server",
    ),
    _run,
)
