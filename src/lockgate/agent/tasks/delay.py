"""`Delay@1`."""

from __future__ import annotations

from lockgate.agent.task import StepHost, Task, TaskError
from lockgate.pipelines.task_specification import Input, TaskSpecification


def _run(host: StepHost) -> None:
    text = host.inputs["delayForMinutes"]
    try:
        minutes = float(text)
    except ValueError:
        raise TaskError(f"delayForMinutes: found {text!r}; allowed: minutes, 0 or more") from None
    host.say(f"waiting for {minutes:g} minutes")
    host.wait(minutes * 60)


TASK = Task(
    TaskSpecification("Delay", (1,), "waits", (Input("delayForMinutes", "for how many minutes", "0", kind="number"),), where="server"), _run
)
