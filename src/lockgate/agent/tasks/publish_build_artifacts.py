"""`PublishBuildArtifacts@1`: the older form of PublishPipelineArtifact@1; several may add to one artifact."""

from __future__ import annotations

from lockgate.agent.task import StepHost, Task
from lockgate.agent.tasks._artifacts import publish
from lockgate.pipelines.task_specification import Input, TaskSpecification


def _run(host: StepHost) -> None:
    publish(host, host.resolve(host.inputs["PathtoPublish"]), host.inputs["ArtifactName"], again=True)


_ONE_MACHINE = "artifacts are copied on one machine"
TASK = Task(
    TaskSpecification(
        "PublishBuildArtifacts",
        (1,),
        "keeps a file or folder as an artifact of the run",
        (
            Input("PathtoPublish", "the file or folder", "$(Build.ArtifactStagingDirectory)"),
            Input("ArtifactName", "the artifact's name", "drop"),
            Input("publishLocation", "where it goes", "Container", aliases=("ArtifactType",), allowed=("Container", "FilePath"),
                  refused=(("FilePath", "there is no file share; leave it out"),)),
            Input("MaxArtifactSize", "largest size", "0", kind="number", no_effect=_ONE_MACHINE),
            Input("TargetPath", "path of a file share", no_effect=_ONE_MACHINE),
            Input("Parallel", "whether it is copied in parallel", "false", kind="boolean", no_effect=_ONE_MACHINE),
            Input("ParallelCount", "how many at once", "8", kind="number", no_effect=_ONE_MACHINE),
            Input("StoreAsTar", "whether it is packed", "false", kind="boolean", refused=(("true", "artifacts are kept as folders; leave it out"),)),
        ),
    ),
    _run,
)  # fmt: skip
