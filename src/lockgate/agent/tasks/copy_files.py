"""`CopyFiles@2`."""

from __future__ import annotations

import shutil

from lockgate.agent.task import StepHost, Task, TaskError, is_true
from lockgate.agent.tasks._files import matching, patterns_of
from lockgate.pipelines.task_specification import Input, TaskSpecification


def _run(host: StepHost) -> None:
    source = host.resolve(host.inputs["SourceFolder"] or ".")
    target = host.resolve(host.inputs["TargetFolder"])
    if not source.is_dir():
        raise TaskError(f"SourceFolder: there is no folder {source}; correct the input")
    found = [path for path in matching(source, patterns_of(host.inputs["Contents"])) if not path.is_relative_to(target)]
    host.say(f"found {len(found)} files")
    if not found:
        return
    if is_true(host.inputs["CleanTargetFolder"]) and target.is_dir():
        for entry in target.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    flat, overwrite = is_true(host.inputs["flattenFolders"]), is_true(host.inputs["OverWrite"])
    for path in found:
        goes_to = target / (path.name if flat else path.relative_to(source))
        if goes_to.exists() and not overwrite:
            host.say(f"{goes_to} is there already and OverWrite is false: left as it is")
            continue
        goes_to.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copy2 if is_true(host.inputs["preserveTimestamp"]) else shutil.copy
        copy(path, goes_to)
        host.say(f"copied {path.relative_to(source)}")


TASK = Task(
    TaskSpecification(
        "CopyFiles",
        (2,),
        "copies files by patterns",
        (
            Input("SourceFolder", "folder they are in; the sources if there is none"),
            Input("Contents", "patterns, a line each; ! takes back", "**"),
            Input("TargetFolder", "folder they go to", required=True),
            Input("CleanTargetFolder", "whether that folder is emptied first", "false", kind="boolean"),
            Input("OverWrite", "whether files there are replaced", "false", kind="boolean"),
            Input("flattenFolders", "whether all go into one folder", "false", kind="boolean"),
            Input("preserveTimestamp", "whether they keep their times", "false", kind="boolean"),
            Input(
                "retryCount", "how often a copy is tried again", "0", kind="number", no_effect="a copy on one machine is not tried again"
            ),
            Input(
                "delayBetweenRetries",
                "milliseconds between tries",
                "1000",
                kind="number",
                no_effect="a copy on one machine is not tried again",
            ),
            Input(
                "ignoreMakeDirErrors",
                "whether a folder may fail",
                "false",
                kind="boolean",
                no_effect="a folder that can't be made is a failure",
            ),
        ),
    ),
    _run,
)
