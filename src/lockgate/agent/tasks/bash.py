"""`Bash@3`, and `bash:`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from lockgate.agent.task import StepHost, Task, TaskError
from lockgate.agent.tasks._script import announce, find_bash, finish, stderr_fails, working_folder, write_script
from lockgate.pipelines.task_specification import Input, TaskSpecification


def _check(inputs: Mapping[str, str]) -> Iterable[str]:
    if inputs["targetType"].lower() == "filepath" and not inputs["filePath"]:
        yield "targetType is filePath and filePath is missing; name the script, or set targetType: inline"


def _run(host: StepHost) -> None:
    folder = working_folder(host, "workingDirectory")
    if host.inputs["targetType"].lower() == "inline":
        text = host.inputs["script"]
        announce(host, text)
    else:
        path = host.resolve(host.inputs["filePath"])
        if not path.is_file():
            raise TaskError(f"filePath: there is no file {path}; was the repository checked out?")
        text = f"exec bash {shlex.quote(str(path))} {host.inputs['arguments']}"  # As in Azure, bash reads the arguments.
        host.say(f"##[command]{path.name} {host.inputs['arguments']}".rstrip())
    extra = {"BASH_ENV": host.inputs["bashEnvValue"]} if host.inputs["bashEnvValue"] else None
    code = host.run([find_bash(), write_script(host, text)], folder, fail_on_stderr=stderr_fails(host, "failOnStderr"), environment=extra)
    finish(code, "Bash")


TASK = Task(
    TaskSpecification(
        "Bash",
        (3,),
        "runs a bash script",
        (
            Input("targetType", "where the script is", "filePath", allowed=("filePath", "inline")),
            Input("filePath", "path of the script"),
            Input("arguments", "arguments of the script"),
            Input("script", "the script itself"),
            Input("workingDirectory", "folder it starts in"),
            Input("failOnStderr", "whether a line on stderr is a failure", "false", kind="boolean"),
            Input("bashEnvValue", "value of BASH_ENV"),
        ),
        check=_check,
    ),
    _run,
)
