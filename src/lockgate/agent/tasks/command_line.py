"""`CmdLine@2`, and `script:`."""

from __future__ import annotations

from pathlib import Path

from lockgate.agent.task import StepHost, Task
from lockgate.agent.tasks._script import announce, find_bash, finish, stderr_fails, working_folder, write_script
from lockgate.pipelines.task_specification import Input, TaskSpecification


def _run(host: StepHost) -> None:
    folder = working_folder(host, "workingDirectory")
    text = host.inputs["script"]
    announce(host, text)
    command: list[str | Path] = [find_bash(), "--noprofile", "--norc", write_script(host, text)]
    finish(host.run(command, folder, fail_on_stderr=stderr_fails(host, "failOnStderr")), "Bash")


TASK = Task(
    TaskSpecification(
        "CmdLine",
        (2,),
        "runs a command line, with bash",
        (
            Input("script", "the commands", required=True),
            Input("workingDirectory", "folder it starts in"),
            Input("failOnStderr", "whether a line on stderr is a failure", "false", kind="boolean"),
        ),
    ),
    _run,
)
