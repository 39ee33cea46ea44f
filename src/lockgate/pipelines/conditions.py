"""Conditions: read when the pipeline is read, evaluated when what stands before has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.expressions import ExpressionError, Scope, evaluate, parse
from lockgate.expressions.ast import Index, Literal, Named, walk
from lockgate.expressions.values import Names, to_boolean
from lockgate.pipelines.document import Scalar
from lockgate.pipelines.fields import Fields
from lockgate.pipelines.model import Outcome

DEFAULT = "succeeded()"
_GOOD: tuple[Outcome, ...] = ("Succeeded", "SucceededWithIssues")


STEP_NAMES = ("variables",)
JOB_NAMES = ("variables", "dependencies", "stageDependencies", "pipeline")
"""What the conditions of steps, and those of jobs and stages, can see."""


def read_condition(fields: Fields, names: tuple[str, ...]) -> str:
    """The text of `condition:`, noted as a mistake if it can't be read, or names what it can't see."""
    found = fields.scalar("condition")
    if found is None:
        return ""
    check_condition(found, fields, names)
    return found.text.strip()


def check_condition(found: Scalar, fields: Fields, names: tuple[str, ...]) -> None:
    """Note a condition that can't be read, or names what it can't see."""
    field = fields.field("condition")
    text = found.text
    if not text.strip() or field is None:
        return
    lead = len(text) - len(text.lstrip())
    try:
        expression = parse(text.strip(), "condition")
    except ExpressionError as error:
        field.context.fail(found, str(error), offset=None if error.offset is None else lead + error.offset)
        return
    for named in expression.names:
        if named.name.lower() not in {name.lower() for name in names}:
            message = unseen(named.name, "a condition", names)
            field.context.fail(found, message, offset=lead + named.offset)


def note_unseen_dependencies(condition: str, context: str, depends_on: list[str], fields: Fields) -> None:
    """Note what a condition asks of a stage or job that is not in dependsOn, and so is always Null, as in Azure."""
    field = fields.field("condition")
    if field is None or not condition:
        return
    try:
        expression = parse(condition, "condition")
    except ExpressionError:
        return  # Said where it was read.
    names = {name.lower() for name in depends_on}
    for part in walk(expression.root):
        if (
            isinstance(part, Index)
            and isinstance(part.target, Named)
            and part.target.name.lower() == context.lower()
            and isinstance(part.index, Literal)
        ):
            name = str(part.index.value)
            if name.lower() not in names:
                field.context.note(field.node, f"{context}.{name} is always Null in this condition, since {name!r} is not in dependsOn")


def unseen(name: str, where: str, names: tuple[str, ...]) -> str:
    """What is said of a name that an expression at run time can't see."""
    if name.lower() == "parameters":
        return f"parameters are not known in {where}, which is evaluated when it runs; write ${{{{ parameters.NAME }}}}"
    if where == "a condition" and name.lower() in ("dependencies", "stagedependencies") and "dependencies" not in names:
        return f"{name} can't be seen by a step's condition; give it to a variable of the job: name: $[ {name}… ]"
    return f"there is no {name!r} in {where}; allowed: {', '.join(names)}"


@dataclass(frozen=True)
class Dependencies:
    """How what a stage or job depends on has ended, as the status functions ask.

    Attributes:
        outcomes: everything before it, also what it depends on indirectly.
        canceled_run: whether the run was cancelled.
    """

    outcomes: Mapping[str, Outcome]
    canceled_run: bool = False

    def _of(self, names: Iterable[str]) -> list[Outcome | None]:
        found: Names = Names(self.outcomes)
        return [found.get(name) for name in names]

    def succeeded(self, names: list[str]) -> bool:
        """See `Status`."""
        if self.canceled_run:
            return False
        return all(outcome in _GOOD for outcome in (self._of(names) if names else self.outcomes.values()))

    def failed(self, names: list[str]) -> bool:
        """See `Status`."""
        return any(outcome == "Failed" for outcome in (self._of(names) if names else self.outcomes.values()))

    def succeeded_or_failed(self, names: list[str]) -> bool:
        """See `Status`."""
        if self.canceled_run:
            return False
        outcomes = self._of(names) if names else list(self.outcomes.values())
        return not outcomes or any(outcome in (*_GOOD, "Failed") for outcome in outcomes)

    def canceled(self) -> bool:
        """See `Status`."""
        return self.canceled_run


@dataclass(frozen=True)
class JobSoFar:
    """How a job stands, as the conditions of its steps ask."""

    outcome: Outcome

    def succeeded(self, names: list[str]) -> bool:
        """See `Status`."""
        _no_names(names)
        return self.outcome in _GOOD

    def failed(self, names: list[str]) -> bool:
        """See `Status`."""
        _no_names(names)
        return self.outcome == "Failed"

    def succeeded_or_failed(self, names: list[str]) -> bool:
        """See `Status`."""
        _no_names(names)
        return self.outcome in (*_GOOD, "Failed")

    def canceled(self) -> bool:
        """See `Status`."""
        return self.outcome == "Canceled"


def _no_names(names: list[str]) -> None:
    if names:
        raise ExpressionError("has names; allowed in the condition of a step: none, since it asks about the job so far")


_NOT_IN_STEPS = {
    name: f"{name} can't be seen by a step's condition; give it to a variable of the job: name: $[ {name}… ]"
    for name in ("dependencies", "stageDependencies", "pipeline")
}
_COMPILE = {"parameters": "parameters are known only while the file is read; write ${{ parameters.name }}"}


def holds(condition: str, status: Dependencies | JobSoFar, variables: Mapping[str, Any], further: Mapping[str, Any] | None = None) -> bool:
    """Whether a condition is true.

    Args:
        condition: its text; empty for the default.
        status: how what stands before has ended.
        variables: all variables, macros in them expanded.
        further: `dependencies`, `stageDependencies`, `pipeline`; None for steps, which do not see them.

    Raises:
        ExpressionError: it can't be evaluated.
        UnknownValueError: it depends on what is not known yet.
    """
    others = {name.lower(): message for name, message in {**_COMPILE, **(_NOT_IN_STEPS if further is None else {})}.items()}
    scope = Scope(Names({"variables": variables, **(further or {})}), status, others=others)
    return to_boolean(evaluate(parse(condition or DEFAULT, "condition"), scope))
