"""A pipeline once it is read: what Azure DevOps would make of the files, nothing run yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from lockgate.errors import Place

Outcome = Literal["Succeeded", "SucceededWithIssues", "Failed", "Canceled", "Skipped", "Abandoned"]
"""How a stage, job or step can end."""
DEFAULT_STAGE = "__default"
DEFAULT_JOB = "Job"
HOOKS = ("preDeploy", "deploy", "routeTraffic", "postRouteTraffic")


@dataclass(frozen=True)
class Origin:
    """Where something stands in the files, for messages while it runs."""

    place: Place
    source: str = ""
    included: tuple[Place, ...] = ()


@dataclass
class Variable:
    """A variable. `value` may hold macros, or be a whole `$[ … ]`."""

    name: str
    value: str
    origin: Origin
    readonly: bool = False
    secret: bool = False
    group: str = ""


@dataclass
class Step:
    """A step: a task with its inputs.

    Attributes:
        task: `Bash@3`, …, or `checkout`, `publish`, `download`.
        inputs: by the names that the file has.
        continue_on_error: text, since macros may be in it.
        value_origin: where the value stands that a short form has, such as the source of `download`.
    """

    task: str
    inputs: dict[str, str]
    origin: Origin
    name: str = ""
    display_name: str = ""
    condition: str = ""
    continue_on_error: str = ""
    enabled: bool = True
    env: dict[str, str] = field(default_factory=dict)
    timeout_minutes: int = 0
    retries: int = 0
    value_origin: Origin | None = None
    target: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What people see."""
        if self.display_name:
            return self.display_name
        first = {"CmdLine@2": "script", "Bash@3": "script", "checkout": "repository", "publish": "path", "download": "source"}
        text = self.inputs.get(first.get(self.task, ""), "").strip().splitlines()
        if self.task in ("checkout", "publish", "download"):
            return f"{self.task} {text[0] if text else ''}".strip()
        return self.task.partition("@")[0] if not text else text[0][:60] + ("…" if len(text[0]) > 60 or len(text) > 1 else "")


@dataclass
class Strategy:
    """Legs of a job: a matrix (or the runtime expression that gives one), or a number of equal ones."""

    origin: Origin
    matrix: dict[str, dict[str, str]] = field(default_factory=dict)
    matrix_expression: str = ""
    parallel: str = ""
    max_parallel: int = 0


@dataclass
class Hook:
    """A lifecycle hook of a deployment."""

    name: str
    steps: list[Step]
    origin: Origin


@dataclass
class Deployment:
    """What a deployment job has beyond a job."""

    environment: str
    resource: str
    strategy: Literal["runOnce", "rolling", "canary"]
    hooks: list[Hook]
    settings: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)


@dataclass
class Job:
    """A job."""

    name: str
    origin: Origin
    steps: list[Step] = field(default_factory=list)
    display_name: str = ""
    depends_on: list[str] = field(default_factory=list)
    depends_on_origins: list[Origin] = field(default_factory=list)
    condition: str = ""
    continue_on_error: str = ""
    timeout_minutes: str = ""
    cancel_timeout_minutes: str = ""
    variables: list[Variable] = field(default_factory=list)
    pool: Any = None
    server: bool = False
    strategy: Strategy | None = None
    deployment: Deployment | None = None
    clean: str = ""
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What people see."""
        return self.display_name or self.name or "Job"

    def all_steps(self) -> list[Step]:
        """Its steps, those of all hooks for a deployment."""
        return [step for hook in self.deployment.hooks for step in hook.steps] if self.deployment else self.steps


@dataclass
class Stage:
    """A stage. `depends_on` is complete: the stage above stands in it if the file says nothing; it has no origin then."""

    name: str
    origin: Origin
    jobs: list[Job] = field(default_factory=list)
    display_name: str = ""
    depends_on: list[str] = field(default_factory=list)
    depends_on_origins: list[Origin] = field(default_factory=list)
    condition: str = ""
    variables: list[Variable] = field(default_factory=list)
    pool: Any = None
    lock_behavior: str = ""
    manual: bool = False
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What people see."""
        return self.display_name or self.name


@dataclass(frozen=True)
class Filter:
    """Branches, tags or paths by include and exclude; `*` stands for any text."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class PipelineTrigger:
    """Which runs of another pipeline start this one."""

    branches: Filter = Filter()
    stages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass
class PipelineResource:
    """Another pipeline: `source` is its name."""

    alias: str
    source: str
    origin: Origin
    version: str = ""
    branch: str = ""
    tags: tuple[str, ...] = ()
    trigger: PipelineTrigger | None = None
    project: str = ""


@dataclass
class Pipeline:
    """A pipeline, with all templates in it."""

    file: str
    stages: list[Stage] = field(default_factory=list)
    number_format: str = ""
    variables: list[Variable] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    pipelines: list[PipelineResource] = field(default_factory=list)
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    trigger: Any = None
    pr: Any = None
    schedules: list[dict[str, Any]] = field(default_factory=list)
    lock_behavior: str = ""
    pool: Any = None
    other: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def stage(self, name: str) -> Stage | None:
        """A stage by its name, without regard to case."""
        return next((stage for stage in self.stages if stage.name.lower() == name.lower()), None)
