"""`PythonScript@0`."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable, Mapping

from lockgate.agent.task import StepHost, Task, TaskError
from lockgate.agent.tasks._script import finish, stderr_fails, working_folder, write_script
from lockgate.pipelines.task_specification import Input, TaskSpecification


def _check(inputs: Mapping[str, str]) -> Iterable[str]:
    if inputs["scriptSource"].lower() == "filepath" and not inputs["scriptPath"]:
        yield "scriptSource is filePath and scriptPath is missing; name the script, or set scriptSource: inline"
    if inputs["scriptSource"].lower() == "inline" and not inputs["script"]:
        yield "scriptSource is inline and script is missing; write the script"


def _run(host: StepHost) -> None:
    inline = host.inputs["scriptSource"].lower() == "inline"
    path = write_script(host, host.inputs["script"], "py") if inline else host.resolve(host.inputs["scriptPath"])
    if not path.is_file():
        raise TaskError(f"scriptPath: there is no file {path}; was the repository checked out?")
    search = host.environment.get("PATH")
    interpreter = host.inputs["pythonInterpreter"] or shutil.which("python3", path=search) or shutil.which("python", path=search)
    if not interpreter:
        raise TaskError("found no python3 on PATH; use UsePythonVersion@0 before, or name one with pythonInterpreter")
    try:
        arguments = shlex.split(host.inputs["arguments"])
    except ValueError as error:
        raise TaskError(f"arguments: {error}; found {host.inputs['arguments']!r}") from None
    code = host.run(
        [interpreter, path, *arguments], working_folder(host, "workingDirectory"), fail_on_stderr=stderr_fails(host, "failOnStderr")
    )
    finish(code, "Python")


TASK = Task(
    TaskSpecification(
        "PythonScript",
        (0,),
        "runs a Python script",
        (
            Input("scriptSource", "where the script is", "filePath", allowed=("filePath", "inline")),
            Input("scriptPath", "path of the script"),
            Input("script", "the script itself"),
            Input("arguments", "arguments of the script"),
            Input("pythonInterpreter", "the Python to use; python3 on PATH if there is none"),
            Input("workingDirectory", "folder it starts in"),
            Input("failOnStderr", "whether a line on stderr is a failure", "false", kind="boolean"),
        ),
        check=_check,
    ),
    _run,
)
