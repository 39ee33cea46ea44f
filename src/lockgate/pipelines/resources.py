"""`resources`, and what starts a pipeline: trigger, pr and schedules."""

from __future__ import annotations

import re
from typing import Any, Final

from lockgate.pipelines import keys
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, SequenceNode, UnknownScalar, plain
from lockgate.pipelines.fields import Field, Fields
from lockgate.pipelines.model import Filter, PipelineResource, PipelineTrigger
from lockgate.pipelines.variables import origin_of

_ALIAS: Final = re.compile(r"[-A-Za-z0-9_]+")
_CRON_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_CRON_FIELDS: Final = ("minute", "hour", "day", "month", "weekday")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class Resources:
    """What `resources:` of a pipeline declares."""

    def __init__(self) -> None:
        self.pipelines: list[PipelineResource] = []
        self.repositories: dict[str, dict[str, Any]] = {}
        self.other: dict[str, Any] = {}

    def read(self, fields: Fields) -> None:
        """Read the block of a file, and let the world know its repositories."""
        there = fields.mapping("resources")
        if there is None:
            return
        body = Fields(*there, keys.RESOURCES)
        self._refuse_directives(body.field("repositories"))
        for item, context in body.items("repositories"):
            self._repository(item, context)
        for item, context in body.items("pipelines"):
            self._pipeline(item, context)
        for item, context in body.items("containers"):
            if isinstance(item, MappingNode):
                Fields(item, context, keys.CONTAINER_RESOURCE)
        for key in ("containers", "builds", "packages", "webhooks"):
            field = body.field(key)
            if field is not None:
                self.other[key] = plain(field.expanded())

    @staticmethod
    def _refuse_directives(field: Field | None) -> None:
        for item in field.node.items if field and isinstance(field.node, SequenceNode) else []:
            if item.dynamic and isinstance(item, MappingNode) and item.dynamic_keys:
                field.context.fail(
                    item, "a template expression is not allowed among repositories; write the repository out"
                ) if field else None

    def _alias(self, item: Node, context: Context, table: keys.Table, key: str, taken: list[str]) -> tuple[Fields, str] | None:
        if not isinstance(item, MappingNode):
            if not isinstance(item, UnknownScalar):
                context.fail(item, f"found {item.describe()}; allowed: {table.what}, such as {{{key}: alias, …}}")
            return None
        fields = Fields(item, context, table)
        alias = fields.scalar(key)
        if alias is None or not _ALIAS.fullmatch(alias.text):
            context.fail(alias or item, f"{key}: found {alias.describe() if alias else 'nothing'}; allowed: letters, digits, _ and -")
            return None
        if alias.text.lower() in {name.lower() for name in taken}:
            context.fail(alias, f"the alias {alias.text!r} is there already; choose another")
        return fields, alias.text

    def _repository(self, item: Node, context: Context) -> None:
        found = self._alias(item, context, keys.REPOSITORY, "repository", list(self.repositories))
        if found:
            fields, alias = found
            fields.choice("type", ("git", "github", "githubenterprise", "bitbucket"))
            self.repositories[alias] = {key.name: plain(field.expanded()) for key, field in fields.present() if key.name != "repository"}
            context.world.repositories[alias] = item

    def _pipeline(self, item: Node, context: Context) -> None:
        found = self._alias(item, context, keys.PIPELINE_RESOURCE, "pipeline", [resource.alias for resource in self.pipelines])
        if not found:
            return
        fields, alias = found
        resource = PipelineResource(alias, fields.text("source") or alias, origin_of(item, context))
        resource.version = fields.text("version")
        resource.branch = fields.text("branch")
        resource.tags = tuple(scalar.text for scalar in fields.texts("tags") or [])
        resource.project = fields.text("project")
        resource.trigger = _pipeline_trigger(fields.field("trigger"))
        self.pipelines.append(resource)


def _pipeline_trigger(field: Field | None) -> PipelineTrigger | None:
    if field is None:
        return None
    node = field.expanded()
    if isinstance(node, Scalar):
        if node.text.lower() == "true":
            return PipelineTrigger()
        if node.text.lower() != "none":
            field.context.fail(node, f"trigger: found {node.describe()}; allowed: true, none, or a mapping with branches, stages and tags")
        return None
    if not isinstance(node, MappingNode):
        if not isinstance(node, UnknownScalar):
            field.context.fail(node, f"trigger: found {node.describe()}; allowed: true, none, or a mapping with branches, stages and tags")
        return None
    fields = Fields(node, field.context, keys.PIPELINE_TRIGGER)
    if not fields.boolean("enabled", default=True):
        return None
    stages = tuple(scalar.text for scalar in fields.texts("stages") or [])
    tags = tuple(scalar.text for scalar in fields.texts("tags") or [])
    return PipelineTrigger(_filter(fields.field("branches")), stages, tags)


def _filter(field: Field | None) -> Filter:
    """Branches, tags or paths: a list, or a mapping of include and exclude."""
    if field is None:
        return Filter()
    node = field.expanded()
    if isinstance(node, SequenceNode):
        return Filter(tuple(item.text for item in node.items if isinstance(item, Scalar)))
    if isinstance(node, MappingNode):
        fields = Fields(node, field.context, keys.FILTER)
        include, exclude = (tuple(scalar.text for scalar in fields.texts(key) or []) for key in ("include", "exclude"))
        return Filter(include, exclude)
    if not isinstance(node, UnknownScalar) and node.text:
        field.context.fail(node, f"{field.key.text}: found {node.describe()}; allowed: a list, or a mapping with include and exclude")
    return Filter()


def read_trigger(fields: Fields, key: str) -> Any:
    """`trigger` or `pr` as plain values; None if it is not there."""
    field = fields.field(key)
    if field is None:
        return None
    node = field.expanded()
    if isinstance(node, MappingNode):
        body = Fields(node, field.context, keys.TRIGGER if key == "trigger" else keys.PR)
        for name in ("branches", "paths", "tags"):
            _filter(body.field(name))
        for name in ("batch", "autoCancel", "drafts"):
            body.boolean(name, default=False)
    elif isinstance(field.node, SequenceNode):
        for item in field.node.items:
            if isinstance(item, MappingNode):
                field.context.fail(item, f"{key}: found a mapping; allowed: a text or a list of texts")
        fields.texts(key)
    elif isinstance(node, Scalar) and node.text.lower() != "none":
        field.context.fail(node, f"{key}: found {node.describe()}; allowed: none, a list of branches, or a mapping")
    return plain(node)


def read_schedules(fields: Fields) -> list[dict[str, Any]]:
    """`schedules` as plain values, their cron checked."""
    found: list[dict[str, Any]] = []
    for item, context in fields.items("schedules"):
        if not isinstance(item, MappingNode):
            context.fail(item, f"found {item.describe()} as a schedule; allowed: a mapping with cron")
            continue
        schedule = Fields(item, context, keys.SCHEDULE)
        cron = schedule.scalar("cron")
        if cron is None:
            schedule.fail("a schedule needs cron, such as '0 3 * * Mon'")
        elif problem := cron_problem(cron.text):
            context.fail(cron, f"cron: {problem}")
        branches = _filter(schedule.field("branches"))
        for name in ("batch", "always"):
            schedule.boolean(name, default=False)
        if not branches.include:
            schedule.fail("a schedule needs branches: with include, or Azure DevOps never starts it")
        found.append({key.name: plain(field.expanded()) for key, field in schedule.present()})
    return found


def cron_problem(text: str) -> str:
    """What is wrong with a cron of five fields as Azure DevOps takes it; empty if nothing is."""
    fields = text.split()
    if len(fields) != len(_CRON_RANGES):
        return f"found {len(fields)} fields in {text!r}; allowed: 5, which are {', '.join(_CRON_FIELDS)}"
    for name, written, (lowest, highest) in zip(_CRON_FIELDS, fields, _CRON_RANGES, strict=True):
        for part in written.split(","):
            span, _, step = part.partition("/")
            ends = [] if span == "*" else span.split("-")
            numbers = [_cron_number(name, end) for end in ends]
            if len(ends) > 2 or not all(lowest <= number <= highest for number in numbers) or numbers != sorted(numbers):
                return f"found {part!r} for the {name}; allowed: *, or numbers from {lowest} to {highest}, as 1,2 or 1-5 or */2"
            if (step and not (step.isdigit() and int(step) > 0)) or (part.endswith("/")):
                return f"found {part!r} for the {name}; allowed after /: a number above 0"
    return ""


def _cron_number(name: str, text: str) -> int:
    if text.isdigit():
        return int(text)
    words = {"month": _MONTHS, "weekday": _DAYS}.get(name, ())
    short = text.lower()[:3]
    return words.index(short) + (name == "month") if short in words and text.isalpha() else -1
