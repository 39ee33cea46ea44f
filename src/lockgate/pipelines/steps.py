"""Steps: tasks, and the short forms of some."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from lockgate.pipelines.conditions import STEP_NAMES, read_condition
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, UnknownScalar
from lockgate.pipelines.expansion import expand, expand_pairs
from lockgate.pipelines.fields import Field, Fields, Pair
from lockgate.pipelines.keys import REFERENCE, SCRIPTS, STEP_KEYS, STEPS, TARGET
from lockgate.pipelines.mistakes import suggestion
from lockgate.pipelines.model import Step
from lockgate.pipelines.task_specification import Input, TaskCatalog, TaskSpecification
from lockgate.pipelines.templates import include
from lockgate.pipelines.variables import origin_of

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TASK: Final = re.compile(r"[^@\s]+@\d+")
_OTHERS: Final = {"checkout": "repository", "publish": "path", "download": "source"}
"""Key of a step that is no task → the input that the key's value is."""
_MACRO: Final = "$("
Given = tuple[Scalar, str, Node]
"""An input as it is given: its key, its text, and where that stands."""


class StepReader:
    """Reads lists of steps.

    Args:
        tasks: the tasks there are.
        server: whether they stand in a job without an agent.
    """

    def __init__(self, tasks: TaskCatalog, *, server: bool) -> None:
        self._tasks = tasks
        self._server = server
        self._names: list[tuple[Scalar, Context]] = []

    def read(self, items: Iterable[tuple[Node, Context]]) -> list[Step]:
        """Steps, those of templates too."""
        found: list[Step] = []
        self._read_into(items, found)
        return found

    def check_names(self) -> None:
        """Note a name that two of the steps that were read have."""
        seen: dict[str, Scalar] = {}
        for name, context in self._names:
            other = seen.setdefault(name.text.lower(), name)
            if other is not name and not context.world.unsure:
                context.fail(name, f"two steps are named {name.text!r}; the other is in line {other.line}; rename one")

    def _read_into(self, items: Iterable[tuple[Node, Context]], found: list[Step]) -> None:
        for item, context in items:
            if isinstance(item, Scalar) and item.dynamic:
                item = expand(item, context)  # noqa: PLW2901 - the item that it stands for
            if isinstance(item, UnknownScalar):
                continue
            if not isinstance(item, MappingNode):
                context.fail(item, f"found {item.describe()} as a step; allowed: a mapping that begins with {', '.join(STEPS)} or template")
                continue
            pairs = list(expand_pairs(item, context))
            keys = [key.text for key, _, _ in pairs]
            if not keys:
                continue
            if "template" in keys:
                reference = Fields(item, context, REFERENCE, pairs)
                if included := include(reference, ("steps",)):
                    self._read_into(included[0].items("steps"), found)
                continue
            kind = next((key for key in keys if key in STEPS), None)
            if kind is None and context.world.unsure:
                continue
            if kind is None:
                context.fail(
                    pairs[0][0], f"found a step with {', '.join(keys)}; {suggestion(keys[0], [*STEPS, 'template'], 'allowed: one of')}"
                )
                continue
            if step := self._step(item, context, kind, pairs):
                found.append(step)

    def _step(self, item: MappingNode, context: Context, kind: str, pairs: list[Pair]) -> Step | None:
        fields = Fields(item, context, STEPS[kind], pairs)
        if kind == "task":
            made = self._task(fields)
        elif kind in SCRIPTS or kind in _OTHERS:
            made = self._short(fields, kind)
        else:
            made = kind, {kind: fields.text(kind)}  # Refused by its key; it is shown all the same.
        if made is None:
            return None
        task, inputs = made
        step = Step(task, inputs, origin_of(item, context))
        name = fields.scalar("name")
        if name is not None and name.text:
            step.name = name.text
            self._names.append((name, context))
            if not NAME.fullmatch(name.text):
                context.fail(name, f"name: found {name.text!r}; allowed: letters, digits and _, no digit first")
        value = fields.scalar(kind) if kind in _OTHERS else None
        step.value_origin = origin_of(value, context) if value is not None else None
        step.display_name = fields.text("displayName")
        step.condition = read_condition(fields, STEP_NAMES)
        step.continue_on_error = fields.text("continueOnError")
        step.enabled = fields.boolean("enabled", default=True)
        step.env = fields.named_texts("env")
        step.timeout_minutes = fields.number("timeoutInMinutes", 0)
        step.retries = fields.number("retryCountOnTaskFailure", 0, highest=10)
        step.target = self._target(fields)
        return step

    def _target(self, fields: Fields) -> dict[str, Any]:
        field = fields.field("target")
        if field is None:
            return {}
        node = field.expanded()
        if isinstance(node, MappingNode):
            target = Fields(node, field.context, TARGET)
            found: dict[str, Any] = {name: target.text(name) for name in ("container",) if name in target}
            if "commands" in target:
                found["commands"] = target.choice("commands", ("any", "restricted"), "any")
            settable = target.texts("settableVariables")
            if settable is not None:
                found["settableVariables"] = [] if [s.text for s in settable] == ["none"] else [s.text for s in settable]
        else:
            found = {"container": node.text if isinstance(node, Scalar) else "host"}
        container = found.get("container", "host")
        if container not in ("host", ""):
            message = f"target: containers are not run on the desk; found {container!r}, run here: host"
            place = target.scalar("container") if isinstance(node, MappingNode) else None
            field.context.fail(place or field.node, message, unsupported=True)
        return found

    def _short(self, fields: Fields, kind: str) -> tuple[str, dict[str, str]] | None:
        task, inputs = (SCRIPTS[kind][0], dict(SCRIPTS[kind][1])) if kind in SCRIPTS else (kind, {})
        first = _OTHERS.get(kind, "script")
        value = fields.scalar(kind)
        text = value.text if value is not None else ""
        if value is not None and not text and kind in _OTHERS:
            fields.context.fail(value, f"{kind}: found nothing; allowed: {STEPS[kind].keys[kind].help.partition(';')[0]}")
        inputs[first] = text
        for key, _ in fields.present():
            if key.name != kind and key.name not in STEP_KEYS and (own := fields.optional_text(key.name)) is not None:
                inputs[key.name] = own
        if kind in ("checkout", "publish", "download", "pwsh", "powershell") and self._server:
            fields.fail(f"{kind} needs an agent, and the job's pool is server; move it to a job with an agent")
        elif kind in ("script", "bash"):
            self._check_place(fields, self._tasks.find(task))
        if value is not None and kind == "checkout" and text.lower() not in ("self", "none", "") and _MACRO not in text:
            aliases = fields.context.world.repositories
            if text.lower() not in {alias.lower() for alias in aliases} and not fields.context.world.alone:
                fields.context.fail(
                    value, f"checkout: there is no repository {value.text!r}; {suggestion(value.text, ['self', 'none', *aliases])}"
                )
        return task, inputs

    def _check_place(self, fields: Fields, task: TaskSpecification | None) -> None:
        if task is not None and (task.where == "server") != self._server:
            where = "a job with pool: server" if task.where == "server" else "a job with an agent"
            fields.fail(f"{task.name} runs only in {where}; move it there")

    def _task(self, fields: Fields) -> tuple[str, dict[str, str]] | None:
        reference = fields.scalar("task")
        if reference is None:
            return None
        given = self._inputs(fields)
        if not _TASK.fullmatch(reference.text):
            fields.context.fail(reference, f"task: found {reference.describe()}; allowed: name@version, such as Bash@3")
            return None
        task = self._tasks.find(reference.text)
        if task is None:
            known = self._tasks.names()
            hint = suggestion(reference.text, known, "run here")
            message = (
                f"task {reference.text!r} is not run on the desk; {hint}; to map it, put a program at .lockgate/tasks/{reference.text}"
            )
            fields.context.fail(reference, message, unsupported=True)
            return reference.text, {name: text for name, (_, text, _) in (given or {}).items()}
        self._check_place(fields, task)
        if given is not None:
            self._check_inputs(fields, task, given)
        return reference.text, {name: text for name, (_, text, _) in (given or {}).items()}

    def _inputs(self, fields: Fields) -> dict[str, Given] | None:
        """Name → key, text and value; None after a mistake."""
        found: dict[str, Given] = {}
        field = fields.field("inputs")
        there = fields.mapping("inputs")
        if field is not None and there is None and not isinstance(field.node, Scalar):
            return None
        for key, value, inner in expand_pairs(*there) if there else ():
            node = expand(value, inner)
            if isinstance(node, Scalar):
                found[key.text] = (key, node.text, value if value.dynamic else node)
                continue
            found[key.text] = (key, _MACRO, node)  # Not known, like a macro.
            if not isinstance(node, UnknownScalar):
                Field(key, value, inner).fail(f"input {key.text!r}: found {node.describe()}; allowed: a text", node)
        return found

    def _check_inputs(self, fields: Fields, task: TaskSpecification, given: dict[str, Given]) -> None:
        if task.any_input:
            return
        values: dict[str, str] = {}
        for name, (key, text, node) in given.items():
            known = task.input(name)
            if known is None:
                hint = suggestion(name, [i.name for i in task.inputs], "its inputs")
                fields.context.fail(key, f"{task.name} has no input {name!r}; {hint}")
                continue
            if known.name in values:
                fields.context.fail(key, f"input {known.name!r} is there twice, under two of its names; remove one")
            values[known.name] = text
            if known.no_effect and text != known.default:
                fields.context.note(key, f"input {name!r} of {task.name} has no effect here: {known.no_effect}")
            if _MACRO not in text:
                _check_value(fields.context, node, known, text)
        for known in task.inputs:
            empty = known.name in values if known.may_be_empty else bool(values.get(known.name))
            if known.required and not empty and not known.default:
                fields.fail(f"{task.name} needs the input {known.name!r} ({known.help}); write it under inputs:")
        if not any(_MACRO in text for text in values.values()):
            for sentence in task.check({**{i.name: i.default for i in task.inputs}, **values}):
                fields.fail(f"{task.name}: {sentence}")


def _check_value(context: Context, key: Node, known: Input, text: str) -> None:
    for value, why in known.refused:
        if text.lower() == value.lower():
            context.fail(key, f"{known.name}: {text!r} is not run on the desk: {why}", unsupported=True)
            return
    if known.allowed and text.lower() not in {word.lower() for word in known.allowed} and text:
        context.fail(key, f"{known.name}: found {text!r}; {suggestion(text, known.allowed)}")
    elif known.kind == "boolean" and text.lower() not in ("true", "false", ""):
        context.fail(key, f"{known.name}: found {text!r}; allowed: true or false")
    elif known.kind == "number" and text and not re.fullmatch(r"\d+(\.\d+)?", text):
        context.fail(key, f"{known.name}: found {text!r}; allowed: a number")
