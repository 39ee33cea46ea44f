"""The flat YAML of a pipeline: one file without templates and template expressions, which means the same."""

from __future__ import annotations

from typing import Any, ClassVar

import yaml

from lockgate.pipelines.model import DEFAULT_STAGE, Deployment, Job, Pipeline, Stage, Step, Variable

try:
    from yaml import CSafeDumper as SafeDumper
except ImportError:  # PyYAML was built without its C library; the one in Python writes the same.
    from yaml import SafeDumper  # type: ignore[assignment]


class _Dumper(SafeDumper):
    """Writes every text without quotes where that is the same text to Azure Pipelines, which knows only texts."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - what PyYAML asks
        return True


def _text(dumper: Any, text: str) -> Any:
    if "${{" in text:
        text = "".join(("${{ '", text.replace("'", "''"), "' }}"))
    block = "\n" in text.rstrip("\n") or text.endswith("\n")
    plain = not block or any(line != line.rstrip() for line in text.splitlines()) or "\t" in text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else "|")


_Dumper.add_representer(str, _text)


def flat_yaml(pipeline: Pipeline) -> str:
    """The pipeline as one YAML file."""
    found: str = yaml.dump(flat(pipeline), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return found


def flat(pipeline: Pipeline) -> dict[str, Any]:
    """The pipeline as plain mappings, lists and texts."""
    found: dict[str, Any] = {}
    _put(found, name=pipeline.number_format, **_of(pipeline.other, "appendCommitMessageToRunName"))
    found |= {key: value for key in ("trigger", "pr") if (value := getattr(pipeline, key)) is not None}
    _put(found, schedules=pipeline.schedules, lockBehavior=pipeline.lock_behavior)
    resources = _resources(pipeline)
    _put(found, resources=resources, variables=_variables(pipeline.variables), stages=[_stage(stage) for stage in pipeline.stages])
    return found


def _of(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _put(found: dict[str, Any], **values: Any) -> None:
    """Add what is not empty. None is nothing; an empty list is nothing too."""
    found.update((key, value) for key, value in values.items() if value not in (None, "", [], {}))


def _resources(pipeline: Pipeline) -> dict[str, Any]:
    found: dict[str, Any] = {}
    repositories = [{"repository": alias, **body} for alias, body in pipeline.repositories.items()]
    pipelines: list[dict[str, Any]] = []
    for resource in pipeline.pipelines:
        one: dict[str, Any] = {"pipeline": resource.alias}
        _put(
            one,
            project=resource.project,
            source=resource.source,
            version=resource.version,
            branch=resource.branch,
            tags=list(resource.tags),
        )
        if resource.trigger is not None:
            trigger: dict[str, Any] = {}
            branches: dict[str, Any] = {}
            _put(branches, include=list(resource.trigger.branches.include), exclude=list(resource.trigger.branches.exclude))
            _put(trigger, branches=branches, stages=list(resource.trigger.stages), tags=list(resource.trigger.tags))
            one["trigger"] = trigger or "true"
        pipelines.append(one)
    _put(found, repositories=repositories, pipelines=pipelines, **_of(pipeline.other, "containers", "builds", "packages", "webhooks"))
    return found


def _variables(variables: list[Variable]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for variable in variables:
        if variable.group:
            if {"group": variable.group} not in found:
                found.append({"group": variable.group})
            continue
        one: dict[str, Any] = {"name": variable.name, "value": variable.value}
        if variable.readonly:
            one["readonly"] = "true"
        found.append(one)
    return found


def _stage(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = {"stage": stage.name}
    _put(found, displayName=stage.display_name)
    if stage.name != DEFAULT_STAGE:
        found["dependsOn"] = stage.depends_on
    _put(found, condition=stage.condition, variables=_variables(stage.variables), lockBehavior=stage.lock_behavior)
    if stage.manual:
        found["trigger"] = "manual"
    _put(found, **_of(stage.other, "isSkippable", "group", "templateContext"), jobs=[_job(job) for job in stage.jobs])
    return found


def _job(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {"deployment" if job.deployment else "job": job.name}
    _put(found, displayName=job.display_name, dependsOn=job.depends_on, condition=job.condition, continueOnError=job.continue_on_error)
    _put(found, timeoutInMinutes=job.timeout_minutes, cancelTimeoutInMinutes=job.cancel_timeout_minutes, pool=job.pool)
    _put(found, variables=_variables(job.variables), **_of(job.other, "container", "services", "uses", "templateContext"))
    if job.clean:
        found["workspace"] = {"clean": job.clean}
    if job.deployment:
        found |= _deployment(job.deployment)
    elif job.strategy:
        strategy: dict[str, Any] = {}
        _put(strategy, matrix=job.strategy.matrix or job.strategy.matrix_expression, parallel=job.strategy.parallel)
        if job.strategy.max_parallel:
            strategy["maxParallel"] = str(job.strategy.max_parallel)
        found["strategy"] = strategy
    if not job.deployment:
        found["steps"] = [_step(step) for step in job.steps]
    return found


def _deployment(deployment: Deployment) -> dict[str, Any]:
    strategy: dict[str, Any] = {}
    _put(strategy, **_of(deployment.settings, "maxParallel", "increments"))
    for hook in deployment.hooks:
        steps = {"steps": [_step(step) for step in hook.steps]}
        if hook.name.startswith("on."):
            strategy.setdefault("on", {})[hook.name[3:]] = steps
        else:
            strategy[hook.name] = steps
    environment = f"{deployment.environment}.{deployment.resource}" if deployment.resource else deployment.environment
    return {"environment": environment, "strategy": {deployment.strategy: strategy}}


def _target(target: dict[str, Any]) -> Any:
    """As a text where it only names a container."""
    if set(target) == {"container"}:
        return target["container"]
    return {key: value if value != [] else "none" for key, value in target.items()}


def _step(step: Step) -> dict[str, Any]:
    short = "@" not in step.task  # Its first input is the value of its key.
    if short:
        first, *others = step.inputs.items()
        found: dict[str, Any] = {step.task: first[1], **dict(others)}
    else:
        found = {"task": step.task}
    _put(found, name=step.name, displayName=step.display_name, condition=step.condition, continueOnError=step.continue_on_error)
    if not step.enabled:
        found["enabled"] = "false"
    if step.timeout_minutes:
        found["timeoutInMinutes"] = str(step.timeout_minutes)
    if step.retries:
        found["retryCountOnTaskFailure"] = str(step.retries)
    _put(found, target=_target(step.target))
    if not short:
        _put(found, inputs=step.inputs)
    _put(found, env=step.env)
    return found
