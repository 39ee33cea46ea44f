"""`AzureCLI@2`: a script with `az`, logged in by a service connection."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from lockgate.agent.task import StepHost, Task, TaskError, is_true
from lockgate.agent.tasks._azure import identity_of, log_in
from lockgate.agent.tasks._script import announce, find_bash, finish, stderr_fails, write_script
from lockgate.pipelines.task_specification import Input, TaskSpecification

_NO_POWERSHELL: Final = "PowerShell is not run; write the script for bash"
_ONE_SHELL: Final = "it concerns PowerShell"


def _check(inputs: Mapping[str, str]) -> Iterable[str]:
    if inputs["scriptLocation"].lower() == "scriptpath" and not inputs["scriptPath"]:
        yield "scriptLocation is scriptPath and scriptPath is missing; name the script, or set scriptLocation: inlineScript"
    if inputs["scriptLocation"].lower() == "inlinescript" and not inputs["inlineScript"]:
        yield "scriptLocation is inlineScript and inlineScript is missing; write the script"


def _run(host: StepHost) -> None:
    inputs = host.inputs
    if shutil.which("az", path=host.environment.get("PATH")) is None:
        raise TaskError("found no az on PATH; run it with `lockgate run`, which brings its own, or install the Azure CLI")
    folder = host.resolve(inputs["workingDirectory"] or ".")
    folder.mkdir(parents=True, exist_ok=True)
    ids = identity_of(inputs["azureSubscription"])
    extra: dict[str, str] = {}
    if not is_true(inputs["useGlobalConfig"]):
        # Never into the person's own folder: that is theirs.
        config = host.folders.temp / ".azclitask"
        extra["AZURE_CONFIG_DIR"] = str(config)
        log_in(host.inputs["azureSubscription"], config)
    if is_true(inputs["addSpnToEnvironment"]):
        # As with workload identity federation: there is a token for exchange, and no key.
        extra |= {"servicePrincipalId": ids["client"], "tenantId": ids["tenant"], "idToken": "desk-token-without-use"}
    extra["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"] = ids["subscription"]
    extra["AZURESUBSCRIPTION_CLIENT_ID"] = ids["client"]
    extra["AZURESUBSCRIPTION_TENANT_ID"] = ids["tenant"]
    if inputs["scriptLocation"].lower() == "inlinescript":
        announce(host, inputs["inlineScript"])
        script = write_script(host, inputs["inlineScript"])
    else:
        script = host.resolve(inputs["scriptPath"])
        if not script.is_file():
            raise TaskError(f"scriptPath: there is no file {script}; was the repository checked out?")
    # As in Azure, bash reads the arguments, so that quotes in them work.
    command: list[str | Path] = [find_bash(), "-c", f'exec bash "$0" {inputs["arguments"]}', script]
    code = host.run(command, folder, fail_on_stderr=stderr_fails(host, "failOnStandardError"), environment=extra)
    finish(code, "the script")


TASK = Task(
    TaskSpecification(
        "AzureCLI",
        (2,),
        "runs a script that calls az",
        (
            Input("azureSubscription", "the service connection", aliases=("connectedServiceNameARM",), required=True),
            Input("scriptType", "the shell", required=True, allowed=("bash", "ps", "pscore", "batch"),
                  refused=(("ps", _NO_POWERSHELL), ("pscore", _NO_POWERSHELL), ("batch", "it needs Windows; write the script for bash"))),
            Input("scriptLocation", "where the script is", "scriptPath", allowed=("inlineScript", "scriptPath")),
            Input("scriptPath", "path of the script"),
            Input("inlineScript", "the script itself"),
            Input("arguments", "arguments of the script", aliases=("scriptArguments",)),
            Input("workingDirectory", "folder it starts in; made if it is not there", aliases=("cwd",)),
            Input("addSpnToEnvironment", "whether the script gets servicePrincipalId, tenantId and idToken", "false", kind="boolean"),
            Input("useGlobalConfig", "whether az uses the person's own configuration", "false", kind="boolean"),
            Input("failOnStandardError", "whether a line on stderr is a failure", "false", kind="boolean"),
            Input("powerShellErrorActionPreference", "PowerShell's", "stop", allowed=("stop", "continue", "silentlyContinue"), no_effect=_ONE_SHELL),
            Input("powerShellIgnoreLASTEXITCODE", "PowerShell's", "false", kind="boolean", no_effect=_ONE_SHELL),
            Input("visibleAzLogin", "whether the login is shown", "true", kind="boolean", no_effect="there is no login to show"),
            Input("allowNoSubscriptions", "whether a login without subscription will do", "false", kind="boolean", no_effect="there always is one"),
            Input("keepAzSessionActive", "whether it logs in again and again", "false", kind="boolean", no_effect="the desk's login does not end"),
        ),
        check=_check,
    ),
    _run,
)  # fmt: skip
