"""What a task takes, as data. The tasks themselves are in `lockgate.agent.tasks`; a plan is made with their specifications."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from lockgate.expressions.values import Names


@dataclass(frozen=True)
class Input:
    """An input of a task.

    Attributes:
        aliases: other names that Azure takes for it.
        may_be_empty: whether a required input may be there without a value.
        default: its value if it is not there.
        allowed: the only values it takes, without regard to case; empty: any.
        refused: value → why the desk does not take it.
    """

    name: str
    help: str
    default: str = ""
    aliases: tuple[str, ...] = ()
    required: bool = False
    may_be_empty: bool = False
    allowed: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    kind: Literal["text", "boolean", "number"] = "text"
    no_effect: str = ""


@dataclass(frozen=True)
class TaskSpecification:
    """A task.

    Attributes:
        versions: the major versions that are taken.
        where: whether it runs on an agent or in a server job.
        check: further rules: the inputs in, sentences about what is wrong out.
    """

    name: str
    versions: tuple[int, ...]
    help: str
    inputs: tuple[Input, ...] = ()
    where: Literal["agent", "server"] = "agent"
    check: Callable[[Mapping[str, str]], Iterable[str]] = lambda _inputs: ()
    any_input: bool = False

    def input(self, name: str) -> Input | None:
        """An input by its name or an alias, without regard to case."""
        wanted = name.lower()
        return next((i for i in self.inputs if wanted in (i.name.lower(), *(alias.lower() for alias in i.aliases))), None)


class TaskCatalog:
    """The tasks that can be run here.

    Args:
        specifications: all of them.
        mapped: names such as `MyTask@1` that somebody has mapped to a program of their own.
    """

    def __init__(self, specifications: Iterable[TaskSpecification], mapped: Iterable[str] = ()) -> None:
        self._found: Names = Names()
        for specification in specifications:
            for version in specification.versions:
                self._found[f"{specification.name}@{version}"] = specification
        for name in mapped:
            task, _, major = name.partition("@")
            self._found[name] = TaskSpecification(task, (int(major),), "mapped to a program of this repository", any_input=True)

    def find(self, reference: str) -> TaskSpecification | None:
        """A task by `Name@major`, without regard to case."""
        found: TaskSpecification | None = self._found.get(reference)
        return found

    def names(self) -> list[str]:
        """All, as `Name@major`, sorted."""
        return sorted(self._found, key=str.lower)
