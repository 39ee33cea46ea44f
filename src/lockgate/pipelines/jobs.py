"""Jobs and deployment jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from lockgate.expressions.values import try_number
from lockgate.pipelines import keys
from lockgate.pipelines.conditions import JOB_NAMES, note_unseen_dependencies, read_condition
from lockgate.pipelines.context import Context
from lockgate.pipelines.document import MappingNode, Node, Scalar, UnknownScalar, plain
from lockgate.pipelines.expansion import expand, expand_pairs
from lockgate.pipelines.fields import Field, Fields, Pair
from lockgate.pipelines.model import HOOKS, Deployment, Hook, Job, Origin, Step, Strategy
from lockgate.pipelines.steps import NAME, StepReader
from lockgate.pipelines.task_specification import TaskCatalog
from lockgate.pipelines.templates import include
from lockgate.pipelines.variables import check_runtime, origin_of, read_variables, runtime_expression

_STRATEGIES: Final = {"runOnce": keys.RUN_ONCE, "rolling": keys.ROLLING, "canary": keys.CANARY}


def read_pool(fields: Fields, inherited: Any) -> tuple[Any, bool]:
    """The pool as it is written, or the one around; and whether it is `server`."""
    field = fields.field("pool")
    if field is None:
        return inherited, inherited == "server"
    node = field.expanded()
    if isinstance(node, MappingNode):
        pool = Fields(node, field.context, keys.POOL)
        pool.text("name")
        pool.texts("demands")
        return plain(node), False
    if isinstance(node, Scalar):
        return node.text or inherited, node.text == "server"
    if not isinstance(node, UnknownScalar):
        field.fail(f"pool: found {node.describe()}; allowed: a pool's name, server, or a mapping with name or vmImage")
    return inherited, False


class JobReader:
    """Reads lists of jobs.

    Args:
        tasks: the tasks there are.
    """

    def __init__(self, tasks: TaskCatalog) -> None:
        self._tasks = tasks

    def read(self, items: Iterable[tuple[Node, Context]], pool: Any) -> list[Job]:
        """Jobs, those of templates too. `pool` is the one of the stage."""
        found: list[Job] = []
        self._read_into(items, pool, found)
        return found

    def single(self, fields: Fields, context: Context, pool: Any, origin: Origin) -> Job:
        """The one job of a pipeline that has only steps. `context` has its variables."""
        job = Job("", origin, pool=pool, server=pool == "server")
        job.steps = self._steps(fields, context, server=job.server)
        job.strategy = self._strategy(fields)
        job.continue_on_error = fields.text("continueOnError")
        job.clean = self._clean(fields)
        return job

    def _read_into(self, items: Iterable[tuple[Node, Context]], pool: Any, found: list[Job]) -> None:
        for item, context in items:
            node = expand(item, context) if isinstance(item, Scalar) else item
            if isinstance(node, UnknownScalar):
                continue
            if not isinstance(node, MappingNode):
                context.fail(node, f"found {node.describe()} as a job; allowed: a mapping that begins with job, deployment or template")
                continue
            pairs = list(expand_pairs(node, context))
            names = [key.text for key, _, _ in pairs]
            if "template" in names:
                if included := include(Fields(node, context, keys.REFERENCE, pairs), ("jobs",)):
                    self._read_into(included[0].items("jobs"), pool, found)
            elif "job" in names:
                found.append(self._job(node, context, pool, pairs))
            elif "deployment" in names:
                found.append(self._deployment(node, context, pool, pairs))
            elif names and not context.world.unsure:
                context.fail(pairs[0][0], f"found a job with {', '.join(names)}; allowed: it has job, deployment or template")

    def _shared(self, fields: Fields, name: str, pool: Any, node: Node) -> tuple[Job, Context]:
        job = Job(name, origin_of(node, fields.context))
        job.display_name = fields.text("displayName")
        depends = [scalar for scalar in fields.texts("dependsOn") or [] if scalar.text]
        job.depends_on = [scalar.text for scalar in depends]
        job.depends_on_origins = [origin_of(scalar, fields.context) for scalar in depends]
        job.condition = read_condition(fields, JOB_NAMES)
        note_unseen_dependencies(job.condition, "dependencies", job.depends_on, fields)
        for key in ("continueOnError", "timeoutInMinutes", "cancelTimeoutInMinutes"):
            scalar = fields.scalar(key)
            if scalar is None:
                continue
            check_runtime(scalar, fields.context)
            if key != "continueOnError" and scalar.text and runtime_expression(scalar.text) is None and "$(" not in scalar.text:
                number = try_number(scalar.text)
                if number is None or number < 0:
                    fields.context.fail(scalar, f"{key}: found {scalar.describe()}; allowed: minutes, 0 or more")
        job.continue_on_error = fields.text("continueOnError")
        job.timeout_minutes = fields.text("timeoutInMinutes")
        job.cancel_timeout_minutes = fields.text("cancelTimeoutInMinutes")
        job.pool, job.server = read_pool(fields, pool)
        job.clean = self._clean(fields)
        for key in ("container", "services", "uses", "templateContext"):
            field = fields.field(key)
            if field is not None:
                job.other[key] = plain(field.expanded())
        job.variables, context = read_variables(fields.field("variables"), fields.context)
        return job, context

    def _name(self, fields: Fields, key: str) -> str:
        found = fields.scalar(key)
        if found is None:
            return ""
        if found.text and not NAME.fullmatch(found.text):
            fields.context.fail(found, f"{key}: found {found.describe()}; allowed: letters, digits and _, no digit first")
        return found.text

    def _clean(self, fields: Fields) -> str:
        there = fields.mapping("workspace")
        return Fields(*there, keys.WORKSPACE).choice("clean", ("outputs", "resources", "all")) if there else ""

    def _job(self, node: MappingNode, context: Context, pool: Any, pairs: list[Pair]) -> Job:
        fields = Fields(node, context, keys.JOB, pairs)
        job, inner = self._shared(fields, self._name(fields, "job"), pool, node)
        job.strategy = self._strategy(fields)
        job.steps = self._steps(fields, inner, server=job.server)
        return job

    def _steps(self, fields: Fields, context: Context, *, server: bool) -> list[Step]:
        reader = StepReader(self._tasks, server=server)
        steps = reader.read(fields.items("steps", context.variables))
        reader.check_names()
        return steps

    def _strategy(self, fields: Fields) -> Strategy | None:
        there = fields.mapping("strategy")
        if there is None:
            return None
        strategy = Fields(*there, keys.STRATEGY)
        found = Strategy(origin_of(*there))
        found.max_parallel = strategy.number("maxParallel", 0)
        parallel = strategy.scalar("parallel")
        if parallel is not None:
            number = try_number(parallel.text)
            if "$(" not in parallel.text and (number is None or not 1 <= number <= 100 or number != int(number)):
                strategy.context.fail(parallel, f"parallel: found {parallel.describe()}; allowed: a whole number from 1 to 100")
            found.parallel = parallel.text
        matrix = strategy.field("matrix")
        if matrix is not None:
            if parallel is not None:
                strategy.fail("found matrix and parallel; allowed: one of them")
            self._matrix(matrix, found)
        elif parallel is None:
            strategy.fail("a strategy needs matrix or parallel; deployment jobs have runOnce")
        return found

    def _matrix(self, field: Field, found: Strategy) -> None:
        node = field.expanded()
        if isinstance(node, UnknownScalar):
            return
        if isinstance(node, Scalar):
            if runtime_expression(node.text) is None:
                field.fail(f"matrix: found {node.describe()}; allowed: a mapping of legs, or a $[ … ] that gives one as JSON")
            check_runtime(node, field.context)
            found.matrix_expression = node.text
            return
        for leg, values in node.pairs if isinstance(node, MappingNode) else []:
            if not NAME.fullmatch(leg.text):
                field.context.fail(leg, f"matrix: found the leg {leg.text!r}; allowed: letters, digits and _, no digit first")
            found.matrix[leg.text] = {}
            for name, value in values.pairs if isinstance(values, MappingNode) else []:
                if isinstance(value, Scalar):
                    found.matrix[leg.text][name.text] = value.text
                elif not isinstance(value, UnknownScalar):
                    field.context.fail(value, f"matrix.{leg.text}.{name.text}: found {value.describe()}; allowed: a text")
            if not isinstance(values, (MappingNode, UnknownScalar)) and not (isinstance(values, Scalar) and not values.text):
                field.context.fail(values, f"matrix.{leg.text}: found {values.describe()}; allowed: a mapping of variables")
        if not isinstance(node, MappingNode) or not node.pairs:
            field.fail(f"matrix: found {node.describe()}; allowed: a mapping with at least one leg")

    def _deployment(self, node: MappingNode, context: Context, pool: Any, pairs: list[Pair]) -> Job:
        fields = Fields(node, context, keys.DEPLOYMENT, pairs)
        job, inner = self._shared(fields, self._name(fields, "deployment"), pool, node)
        environment, resource, settings = self._environment(fields)
        if job.server:
            fields.fail("a deployment job needs an agent, and its pool is server; choose a pool")
        there = fields.mapping("strategy")
        if there is None:
            if "strategy" not in fields:
                fields.fail("a deployment job needs strategy: with runOnce")
            job.deployment = Deployment(environment, resource, "runOnce", [], settings)
            return job
        strategy = Fields(*there, keys.DEPLOYMENT_STRATEGY)
        kinds = [kind for kind in _STRATEGIES if kind in strategy]
        if len(kinds) != 1:
            strategy.fail(f"found {' and '.join(kinds) or 'no strategy'}; allowed: one of {', '.join(_STRATEGIES)}")
            job.deployment = Deployment(environment, resource, "runOnce", [], settings)
            return job
        kind = kinds[0]
        body = strategy.mapping(kind)
        job.deployment = Deployment(environment, resource, kind, [], settings)  # type: ignore[arg-type]
        if body is not None:
            hooks = Fields(*body, _STRATEGIES[kind])
            for key in ("maxParallel", "increments"):
                if key in hooks:
                    field = hooks.field(key)
                    settings[key] = plain(field.expanded()) if field else None
            self._hooks(hooks, inner, job)
        return job

    def _environment(self, fields: Fields) -> tuple[str, str, dict[str, Any]]:
        field = fields.field("environment")
        if field is None:
            if not fields.context.world.unsure:
                fields.fail("a deployment job needs environment:, the environment that it deploys to")
            return "", "", {}
        node = field.expanded()
        if isinstance(node, MappingNode):
            environment = Fields(node, field.context, keys.ENVIRONMENT)
            for key in ("resourceId", "resourceType", "tags"):
                environment.text(key)
            text, resource = environment.text("name"), environment.text("resourceName")
        else:
            text, resource = (node.text if isinstance(node, Scalar) else ""), ""
            if not isinstance(node, (Scalar, UnknownScalar)):
                field.fail(f"environment: found {node.describe()}; allowed: a name, or a mapping with name")
        name, _, part = text.partition(".")
        if not name and isinstance(node, (Scalar, MappingNode)):
            field.fail("environment: found no name; allowed: the name of an environment")
        return name, resource or part, {}

    def _hooks(self, fields: Fields, context: Context, job: Job) -> None:
        deployment = job.deployment
        if deployment is None:
            return
        for name in HOOKS:
            self._hook(fields, name, name, context, deployment)
        if there := fields.mapping("on"):
            on = Fields(*there, keys.ON)
            for name in ("success", "failure"):
                self._hook(on, name, f"on.{name}", context, deployment)
        if not any(hook.name == "deploy" for hook in deployment.hooks):
            fields.fail("the strategy has no deploy:; write deploy: with steps")

    def _hook(self, fields: Fields, key: str, name: str, context: Context, deployment: Deployment) -> None:
        there = fields.mapping(key)
        if there is None:
            return
        hook = Fields(*there, keys.HOOK)
        steps = self._steps(hook, context, server=False)
        deployment.hooks.append(Hook(name, steps, origin_of(*there)))


def matrix_of_json(text: str) -> dict[str, dict[str, str]]:
    """The legs that a runtime expression gave.

    Raises:
        ValueError: it is no JSON object of objects.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the matrix is not JSON: {error.msg} at character {error.pos + 1}") from None
    if not isinstance(found, dict) or not found or not all(isinstance(values, dict) for values in found.values()):
        raise ValueError("the matrix has to be a JSON object with an object for each leg")
    for leg in found:
        if not NAME.fullmatch(leg):
            raise ValueError(f"the matrix has the leg {leg!r}; allowed: letters, digits and _, no digit first")
    return {
        leg: {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
        for leg, values in found.items()
    }
