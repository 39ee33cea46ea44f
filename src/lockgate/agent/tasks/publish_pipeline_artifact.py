"""`PublishPipelineArtifact@1`, and `publish:`."""

from __future__ import annotations

import re

from lockgate.agent.task import StepHost, Task
from lockgate.agent.tasks._artifacts import publish
from lockgate.pipelines.task_specification import Input, TaskSpecification


def default_name(host: StepHost) -> str:
    """The name of an artifact that has none: the job's."""
    return re.sub(r"[^A-Za-z0-9.-]", "", f"{host.values.get('System.JobName', 'job')}") or "drop"


def _run(host: StepHost) -> None:
    publish(host, host.resolve(host.inputs["targetPath"]), host.inputs["artifact"] or default_name(host))


_ONE_MACHINE = "artifacts are copied on one machine"
TASK = Task(
    TaskSpecification(
        "PublishPipelineArtifact",
        (1,),
        "keeps a file or folder as an artifact of the run",
        (
            Input("targetPath", "the file or folder", "$(Pipeline.Workspace)", aliases=("path",)),
            Input("artifact", "the artifact's name; the job's if there is none", aliases=("artifactName",)),
            Input("publishLocation", "where it goes", "pipeline", aliases=("artifactType",), allowed=("pipeline", "filepath"),
                  refused=(("filepath", "there is no file share; leave it out"),)),
            Input("fileSharePath", "path of a file share", no_effect=_ONE_MACHINE),
            Input("parallel", "whether it is copied in parallel", "false", kind="boolean", no_effect=_ONE_MACHINE),
            Input("parallelCount", "how many at once", "8", kind="number", no_effect=_ONE_MACHINE),
            Input("properties", "JSON that is kept with it", no_effect="nobody reads them on the desk"),
        ),
    ),
    _run,
)  # fmt: skip
