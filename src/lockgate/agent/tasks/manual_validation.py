"""`ManualValidation@0` and `@1`: waits for a person."""

from __future__ import annotations

from lockgate.agent.task import Result, StepHost, Task, TaskError
from lockgate.pipelines.task_specification import Input, TaskSpecification

_THIRTY_DAYS = 43_200.0


def _run(host: StepHost) -> Result | None:
    for line in host.inputs["instructions"].splitlines():
        host.say(line)
    try:
        approved = host.ask(host.inputs["instructions"], _THIRTY_DAYS)
    except TimeoutError:
        if host.inputs["onTimeout"].lower() == "resume":
            host.issue("warning", "nobody answered in time; going on, as onTimeout says")
            return None
        raise TaskError("nobody answered in time; rejected, as onTimeout says") from None
    if not approved:
        raise TaskError("rejected")
    return None


TASK = Task(
    TaskSpecification(
        "ManualValidation",
        (0, 1),
        "waits until somebody runs `lockgate approve` or `lockgate reject`",
        (
            Input(
                "notifyUsers",
                "who is told; may be empty",
                required=True,
                may_be_empty=True,
                no_effect="nobody is sent a message; the run shows that it waits",
            ),
            Input("approvers", "who may answer", no_effect="whoever may write to this folder may answer"),
            Input(
                "allowApproversToApproveTheirOwnRuns",
                "whether who started it may answer",
                "true",
                kind="boolean",
                no_effect="everybody may",
            ),
            Input("instructions", "what is to be looked at"),
            Input("onTimeout", "what no answer means", "reject", allowed=("reject", "resume")),
        ),
        where="server",
    ),
    _run,
)
