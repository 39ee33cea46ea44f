"""`DeleteFiles@1`."""

from __future__ import annotations

import shutil

from lockgate.agent.task import StepHost, Task, TaskError, is_true
from lockgate.agent.tasks._files import all_below, matches, patterns_of
from lockgate.pipelines.task_specification import Input, TaskSpecification


def _run(host: StepHost) -> None:
    root = host.resolve(host.inputs["SourceFolder"] or ".")
    if not root.is_dir():
        host.say(f"there is no folder {root}: nothing to delete")
        return
    if not root.resolve().is_relative_to(host.folders.workspace.resolve()):
        raise TaskError(
            f"SourceFolder: {root} lies outside the job's work folder {host.folders.workspace}; on the desk nothing outside is deleted"
        )
    # As in the task itself, ! is no exclusion here, and a pattern without a folder matches at every depth.
    dot = is_true(host.inputs["RemoveDotFiles"])
    patterns = [pattern.removeprefix("./") for pattern in patterns_of(host.inputs["Contents"])]
    names = {path: path.relative_to(root).as_posix() for path in all_below(root, folders=True)}
    found = [path for path, name in names.items() if any(matches(name, pattern, dot=dot, base=True) for pattern in patterns)]
    for path in sorted(found, key=lambda path: -len(path.parts)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            path.unlink()
    host.say(f"deleted {len(found)} files and folders")
    if is_true(host.inputs["RemoveSourceFolder"]) and not any(path.is_file() for path in all_below(root)):
        shutil.rmtree(root)
        host.say(f"removed {root.name}")


TASK = Task(
    TaskSpecification(
        "DeleteFiles",
        (1,),
        "deletes files and folders by patterns, within the job's work folder",
        (
            Input("SourceFolder", "folder they are in; the sources if there is none"),
            Input("Contents", "patterns, a line each", "myFileShare"),
            Input("RemoveSourceFolder", "whether the folder goes too, once no file is left in it", "false", kind="boolean"),
            Input("RemoveDotFiles", "whether names with a dot in front match", "false", kind="boolean"),
        ),
    ),
    _run,
)
