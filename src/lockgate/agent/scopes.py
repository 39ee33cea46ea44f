"""The variables that a run, stage or job begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from lockgate.agent.git import Commit
from lockgate.agent.masking import Masker
from lockgate.agent.predefined import NOBODY_ID, PROJECT_ID, build_number
from lockgate.agent.runs import RunFolder
from lockgate.agent.variables import Variables
from lockgate.errors import StateError
from lockgate.expressions import ExpressionError, Scope, evaluate, parse
from lockgate.expressions.values import Names, to_string
from lockgate.pipelines.model import Pipeline, Variable
from lockgate.pipelines.variables import runtime_expression

DEFAULT_NUMBER: Final = "$(Date:yyyyMMdd).$(Rev:r)"
_LONGEST_NUMBER: Final = 255
_NOT_IN_NUMBERS: Final = frozenset('"/:<>\\|?@*')


class Scopes:
    """Evaluates blocks of variables.

    Args:
        pipeline: the pipeline.
        root: the repository's folder, its commit, and when the run began: what `resources` and `pipeline` of expressions hold.
        masker: learns the secrets.
        count: the pipeline's counters.
    """

    def __init__(
        self, pipeline: Pipeline, root: str, commit: Commit, began: datetime, masker: Masker, count: Callable[[str, int], int]
    ) -> None:
        self._pipeline = pipeline
        self._masker = masker
        self._count = count
        own = {"id": root, "name": root.rpartition("/")[2], "ref": commit.branch, "type": "git", "version": commit.sha}
        others = {
            alias: {"id": alias, "name": body.get("name", alias), "ref": body.get("ref", ""), "type": body.get("type", "git")}
            for alias, body in pipeline.repositories.items()
        }
        self._began = began
        self.pipeline = {"startTime": began}
        self._contexts = {"pipeline": self.pipeline, "resources": {"repositories": Names({"self": own, **others})}}

    def set_block(
        self, variables: Variables, block: list[Variable], contexts: Mapping[str, Any] | None = None, *, counters: bool = False
    ) -> None:
        """Set the variables of a block, in their order; a `$[ ]` sees those before it.

        Args:
            variables: what they are set in.
            block: the variables.
            contexts: `dependencies` and `stageDependencies`, where there are any.
            counters: whether `counter()` may count.

        Raises:
            StateError: a `$[ ]` can't be evaluated.
        """
        for variable in block:
            inside = runtime_expression(variable.value)
            text = variable.value
            if inside is not None:
                scope = Scope(Names({"variables": variables.expanded().values, **self._contexts}).merge(contexts or {}))
                if counters:
                    scope.count = self._count
                try:
                    text = to_string(evaluate(parse(inside, "variable"), scope))
                except ExpressionError as error:
                    raise StateError(
                        f"{variable.origin.place}: variable {variable.name!r} can't be evaluated: {error}: {variable.value}"
                    ) from None
            if variable.secret:
                self._masker.add(text)
            variables.set(variable.name, text, secret=variable.secret, readonly=variable.readonly)

    def evaluated(self, text: str, variables: Variables, contexts: Mapping[str, Any] | None = None) -> str:
        """A text with its macros replaced, or the value of the `$[ ]` that it is.

        Raises:
            ExpressionError: the `$[ ]` can't be evaluated.
        """
        inside = runtime_expression(text)
        expanded = variables.expanded()
        if inside is None:
            return expanded.replace(text)
        return to_string(
            evaluate(parse(inside, "variable"), Scope(Names({"variables": expanded.values, **self._contexts}).merge(contexts or {})))
        )

    def set_resource(self, variables: Variables, alias: str, run: RunFolder, project: str) -> None:
        """Set `resources.pipeline.<alias>.…` to what the run is that a pipeline resource stands for."""
        record = run.record
        values = {
            "projectID": PROJECT_ID,
            "projectName": project,
            "pipelineName": record.get("pipeline", ""),
            "pipelineID": record.get("definition", ""),
            "runName": record.get("number", ""),
            "runID": str(run.id),
            "runURI": f"vstfs:///Build/Build/{run.id}",
            "sourceBranch": record.get("sourceBranch", ""),
            "sourceCommit": record.get("sourceVersion", ""),
            "sourceProvider": "TfsGit",
            "requestedFor": record.get("requestedFor", ""),
            "requestedForID": NOBODY_ID,
        }
        written = next((resource.alias for resource in self._pipeline.pipelines if resource.alias.lower() == alias), alias)
        for name, text in values.items():
            variables.set(f"resources.pipeline.{written}.{name}", str(text), readonly=True)

    def number(self, variables: Variables) -> str:
        """The run's number, by the pipeline's `name:`; `$(Rev:r)` counts the runs that are alike but for it."""
        pattern = self._pipeline.number_format or DEFAULT_NUMBER
        values = {name: text or "" for name, text in variables.expanded().values.items()}
        base = build_number(pattern, self._began, values, 0)
        revision = self._count(f"number:{base}", 1) if "$(rev" in pattern.lower() else 1
        number = build_number(pattern, self._began, values, revision)
        return "".join("_" if sign in _NOT_IN_NUMBERS else sign for sign in number)[:_LONGEST_NUMBER]
