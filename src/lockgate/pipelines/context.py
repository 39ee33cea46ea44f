"""What a piece of a file is read in: its file, what its expressions see, and how it was reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lockgate.errors import Place
from lockgate.expressions import Scope
from lockgate.expressions.values import Names
from lockgate.pipelines.document import Node, Scalar, mistake_at
from lockgate.pipelines.files import File, Files
from lockgate.pipelines.mistakes import Mistakes

_LONGEST: Final = 1_000
"""Characters of a message, since names in it can be of any length."""
_ELSEWHERE: Final = {
    "dependencies": "dependencies is not known while the file is read; allowed: in condition: and in $[ ] of a job's or stage's variables",
    "stagedependencies": "stageDependencies is not known while the file is read; allowed: in condition: and in $[ ] of variables",
    "pipeline": "pipeline is not known while the file is read; allowed: in condition: and in $[ ] of variables",
    "resources": "resources is not known while the file is read; use a macro, such as $(resources.pipeline.alias.runID)",
}


@dataclass
class World:
    """What all of a reading shares.

    Attributes:
        checking: whether a file is only checked, so that required parameters may have no value.
        unsure: whether a condition was not known while a file is only checked, so that both of its branches were read.
        iterations: how often an `each` has gone round.
        notes: what is accepted and has no effect on the desk → where it stands first.
        alone: whether the file that is checked is a template, so that who includes it may declare more.
        repositories: alias → its declaration in `resources.repositories`.
        groups: names of the variable groups → their variables; None if no file of groups was given.
    """

    files: Files
    mistakes: Mistakes
    checking: bool = False
    alone: bool = False
    repositories: dict[str, Node] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Any]] | None = None
    checked: set[int] = field(default_factory=set)
    unsure: bool = False
    iterations: int = 0
    notes: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """Where a piece is read. Immutable; what is inside gets a context of its own."""

    world: World
    file: File
    scope: Scope
    included: tuple[Place, ...] = ()

    def fail(self, node: Node, message: str, *, offset: int | None = None, unsupported: bool = False) -> None:
        """Note a mistake at a node."""
        if len(message) > _LONGEST:
            half = _LONGEST // 2
            message = f"{message[:half]} … {message[-half:]}"
        self.world.mistakes.add(mistake_at(node, message, self.included, offset=offset, unsupported=unsupported))

    def note(self, node: Node, message: str) -> None:
        """Note what is accepted and has no effect on the desk."""
        self.world.notes.setdefault(message, node.place())

    def with_names(self, **values: Any) -> Context:
        """With other or further names for expressions."""
        return replace(self, scope=Scope(self.scope.names.copy().merge(values), others=_ELSEWHERE))

    def with_name(self, name: str, value: Any) -> Context:
        """With one name more."""
        names = self.scope.names.copy()
        names[name] = value
        return replace(self, scope=Scope(names, others=_ELSEWHERE))

    def in_template(self, file: File, parameters: Names, reference: Scalar) -> Context:
        """Inside a template that `reference` includes: it sees its own parameters, and the variables so far."""
        names = Names({"parameters": parameters, "variables": self.scope.names["variables"]})
        return Context(self.world, file, Scope(names, others=_ELSEWHERE), (*self.included, reference.place()))

    @property
    def variables(self) -> Names:
        """The variables that expressions see here."""
        found: Names = self.scope.names["variables"]
        return found


def root_context(world: World, file: File, parameters: Names, variables: Names) -> Context:
    """The context of a pipeline's own file."""
    return Context(world, file, Scope(Names({"parameters": parameters, "variables": variables}), others=_ELSEWHERE))
