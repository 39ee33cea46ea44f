"""Every key of an Azure Pipelines file, as data: readers, messages and the reference are made from it.

`desk` says what a key comes to on the desk: `run` (as in Azure), `shown` (it steers Azure DevOps, and the plan shows it), `none` (it has
no meaning on one machine; `why` says so and a run repeats it), `refused` (a file with it is not run here; `why` says what to do).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Desk = Literal["run", "shown", "none", "refused"]


@dataclass(frozen=True)
class Key:
    """A key: what it means, and what it comes to on the desk."""

    name: str
    help: str
    desk: Desk = "run"
    why: str = ""


class Table:
    """The keys that a mapping may have."""

    def __init__(self, what: str, *groups: Iterable[Key]) -> None:
        self.what = what
        self.keys: dict[str, Key] = {key.name: key for group in groups for key in group}


_NO_CONTAINER: Final = "containers are not run; leave it out, or run the job in Azure"
_REPOSITORY_OPTION: Final = "the working tree is used as it is"
_SYNC_OPTION: Final = "the folder is used as it is; nothing is fetched"

_VARIABLES: Final = Key("variables", "variables, as a mapping or a list with groups and templates")
_POOL: Final = Key("pool", "where it runs: this machine, whatever the pool's name; `server` for agentless jobs")
_TEMPLATE_CONTEXT: Final = Key("templateContext", "properties for templates that take the stage or job as a parameter")
_LOCK: Final = Key("lockBehavior", "how runs that wait for an exclusive lock go on: `sequential` or `runLatest`")

_ROOT: Final = (
    Key("name", "the format of the run's number"),
    Key("appendCommitMessageToRunName", "whether Azure DevOps shows the commit's message behind the run's number", "shown"),
    Key("trigger", "pushes that start it", "shown"),
    Key("pr", "pull requests that start it (GitHub and Bitbucket only)", "shown"),
    Key("schedules", "times at which it starts", "shown"),
    Key("parameters", "typed parameters"),
    Key("resources", "repositories, pipelines and containers that it uses"),
    _VARIABLES,
    _POOL,
    _LOCK,
)
_JOB_SHARED: Final = (
    Key("displayName", "its name for people"),
    Key("dependsOn", "jobs of the stage that end before"),
    Key("condition", "whether it runs; succeeded() if there is none"),
    Key("continueOnError", "whether what depends on it goes on after its failure"),
    Key("timeoutInMinutes", "minutes until it is cancelled; 60 if there is none, 0 for no limit"),
    Key("cancelTimeoutInMinutes", "minutes that its steps have to end once it is cancelled; 5 if there is none"),
    _VARIABLES,
    _POOL,
    Key("container", "image that its steps run in", "refused", _NO_CONTAINER),
    Key("services", "containers beside it", "refused", _NO_CONTAINER),
    Key(
        "workspace",
        "what of the work folder is cleaned first: `clean: outputs | resources | all`",
        "none",
        "every job begins with empty folders",
    ),
    Key("uses", "repositories and pools it may use although they are named by expressions", "none", "nothing has to be authorised"),
    _TEMPLATE_CONTEXT,
)
_ROOT_JOB: Final = (
    Key("steps", "its steps"),
    Key("strategy", "several legs of the job: `matrix` or `parallel`"),
    Key("continueOnError", "whether the run goes on after its failure"),
    Key("container", "image that its steps run in", "refused", _NO_CONTAINER),
    Key("services", "containers beside it", "refused", _NO_CONTAINER),
    Key(
        "workspace",
        "what of the work folder is cleaned first: `clean: outputs | resources | all`",
        "none",
        "every job begins with empty folders",
    ),
)
_STEP: Final = (
    Key("name", "its name for output variables"),
    Key("displayName", "its name for people"),
    Key("condition", "whether it runs; succeeded() if there is none"),
    Key("continueOnError", "whether the job goes on after its failure"),
    Key("enabled", "whether it is run at all"),
    Key("env", "variables of its environment"),
    Key("timeoutInMinutes", "minutes until it fails; 0 or none: no limit"),
    Key("retryCountOnTaskFailure", "how often it is tried again, 0 to 10, after 1, 4, 9, … seconds"),
    Key("target", "container that it runs in; `host` alone is run here"),
)
_SCRIPT: Final = (
    Key("workingDirectory", "folder it starts in"),
    Key("failOnStderr", "whether a line on stderr is a failure"),
)
_POWERSHELL: Final = (
    Key("errorActionPreference", "what PowerShell does about errors"),
    Key("ignoreLASTEXITCODE", "whether the last exit code counts"),
)

PIPELINE: Final = Table(
    "a pipeline",
    _ROOT,
    (
        Key("stages", "its stages"),
        Key("jobs", "its jobs, where it has one stage"),
        Key("extends", "a template that is the pipeline"),
        Key("phases", "the old name of jobs", "refused", "it is deprecated; write jobs: and job:"),
    ),
    _ROOT_JOB,
)
EXTENDS: Final = Table("extends", (Key("template", "path of the template"), Key("parameters", "values for its parameters")))
TEMPLATE_ROOTS: Final = Table(
    "a template",
    (
        Key("parameters", "typed parameters, or the older mapping of names to defaults"),
        Key("stages", "stages that it gives"),
        Key("jobs", "jobs that it gives"),
        Key("steps", "steps that it gives"),
        Key("variables", "variables that it gives"),
        Key("extends", "a template that it extends itself"),
        Key("resources", "repositories and pipelines, where it is extended"),
        Key("trigger", "pushes that start the pipeline, where it is extended", "shown"),
        Key("schedules", "times at which it starts, where it is extended", "shown"),
        Key("pool", "the pool of its stages and jobs, where it is extended"),
        Key("lockBehavior", "see a pipeline, where it is extended"),
    ),
)
REFERENCE: Final = Table(
    "a reference to a template", (Key("template", "path of the template"), Key("parameters", "values for its parameters"))
)
PARAMETER: Final = Table(
    "a parameter",
    (
        Key("name", "its name"),
        Key("displayName", "its name for people"),
        Key(
            "type",
            "string, stringList, number, boolean, object, step, stepList, job, jobList, deployment, deploymentList, stage, stageList, …",
        ),
        Key("default", "its value if none is given; without one, one has to be"),
        Key("values", "the values that are allowed"),
    ),
)
VARIABLE: Final = Table(
    "a variable",
    (
        Key("name", "its name"),
        Key("value", "its value"),
        Key("readonly", "whether a step may change it"),
        Key("group", "a variable group; its variables come from --variable-groups"),
        Key("template", "a template of variables"),
        Key("parameters", "values for the template's parameters"),
    ),
)
STAGE: Final = Table(
    "a stage",
    (
        Key("stage", "its name"),
        Key("displayName", "its name for people"),
        Key("dependsOn", "stages that end before; the stage above if there is none, [] for no stage"),
        Key("condition", "whether it runs; succeeded() if there is none"),
        _VARIABLES,
        Key("jobs", "its jobs"),
        _POOL,
        _LOCK,
        Key("trigger", "`manual`: it waits until `lockgate approve` starts it"),
        Key("isSkippable", "whether somebody may skip it by hand", "none", "stages are chosen with --stage"),
        Key("group", "where Azure DevOps shows it", "shown"),
        Key("checks", "checks of the stage", "refused", "use the checks of an environment, in .lockgate/environments.yml"),
        _TEMPLATE_CONTEXT,
    ),
)
JOB: Final = Table(
    "a job",
    (Key("job", "its name"), Key("steps", "its steps"), Key("strategy", "several legs of it: `matrix` or `parallel`, with `maxParallel`")),
    _JOB_SHARED,
)
DEPLOYMENT: Final = Table(
    "a deployment job",
    (
        Key("deployment", "its name"),
        Key("environment", "the environment it deploys to, whose checks it waits for"),
        Key("strategy", "`runOnce` with its hooks; `rolling` and `canary` are expanded and not run"),
    ),
    _JOB_SHARED,
)
STRATEGY: Final = Table(
    "a job's strategy",
    (
        Key("matrix", "name of each leg → its variables, or a $[ ] that gives them as JSON"),
        Key("parallel", "how many legs, which divide the work between them"),
        Key("maxParallel", "how many legs run at once; 0 for all"),
    ),
)
DEPLOYMENT_STRATEGY: Final = Table(
    "a deployment's strategy",
    (
        Key("runOnce", "each hook once"),
        Key("rolling", "hooks for each target in turn", "refused", "it needs virtual machines of an environment; use runOnce here"),
        Key("canary", "hooks for each increment", "refused", "it needs Kubernetes resources of an environment; use runOnce here"),
    ),
)
_HOOKS: Final = (
    Key("preDeploy", "steps before the deployment"),
    Key("deploy", "the deployment's steps"),
    Key("routeTraffic", "steps that send traffic to what was deployed"),
    Key("postRouteTraffic", "steps once the traffic is there"),
    Key("on", "`success` and `failure`: steps after all"),
)
RUN_ONCE: Final = Table("runOnce", _HOOKS)
_NO_SUCH_STRATEGY: Final = "the strategy is not run"
ROLLING: Final = Table("rolling", _HOOKS, (Key("maxParallel", "targets at once", "none", _NO_SUCH_STRATEGY),))
CANARY: Final = Table("canary", _HOOKS, (Key("increments", "shares of the traffic, one after the other", "none", _NO_SUCH_STRATEGY),))
ON: Final = Table("on", (Key("success", "steps after a success"), Key("failure", "steps after a failure")))
HOOK: Final = Table("a hook", (Key("steps", "its steps"), Key("pool", "where it runs", "none", "all hooks run on this machine")))
ENVIRONMENT: Final = Table(
    "an environment",
    (
        Key("name", "its name, or `name.resource`"),
        Key("resourceName", "a resource of it", "none", "the desk's environments have no resources"),
        Key("resourceId", "a resource of it", "none", "the desk's environments have no resources"),
        Key("resourceType", "kind of its resources", "refused", "the desk has no virtual machines or clusters; leave it out"),
        Key("tags", "tags of its virtual machines", "refused", "the desk has no virtual machines; leave it out"),
    ),
)
POOL: Final = Table(
    "a pool",
    (
        Key("name", "the pool's name", "none", "this machine stands for every pool"),
        Key("demands", "what an agent must have", "none", "this machine is the only agent"),
        Key("vmImage", "image of a Microsoft-hosted agent", "none", "this machine stands for every image"),
    ),
)
WORKSPACE: Final = Table("workspace", (Key("clean", "`outputs`, `resources` or `all`", "none", "every job begins with empty folders"),))
USES: Final = Table(
    "uses",
    (
        Key("repositories", "repositories it uses", "none", "nothing has to be authorised"),
        Key("pools", "pools it uses", "none", "nothing has to be authorised"),
    ),
)
RESOURCES: Final = Table(
    "resources",
    (
        Key("repositories", "other repositories, for templates and checkout"),
        Key("pipelines", "other pipelines, whose runs start this one and give it artifacts"),
        Key("containers", "images for jobs", "none", _NO_CONTAINER),
        Key("builds", "builds of other systems", "refused", "the desk knows no other build system; leave it out"),
        Key("packages", "packages that start it", "refused", "the desk knows no package feed; leave it out"),
        Key("webhooks", "web hooks that start it", "refused", "the desk has no web hooks; leave it out"),
    ),
)
REPOSITORY: Final = Table(
    "a repository",
    (
        Key("repository", "its alias"),
        Key("type", "`git`, `github`, `githubenterprise` or `bitbucket`", "none", "--repo ALIAS=FOLDER says where it is"),
        Key("name", "project and repository; its last part names the folder that it is checked out to beside others"),
        Key("ref", "branch or tag", "none", _REPOSITORY_OPTION),
        Key("endpoint", "service connection to reach it", "none", "it is a folder on this machine"),
        Key("trigger", "pushes there that start the pipeline", "shown"),
        Key("checkoutOptions", "defaults for its checkout", "none", _SYNC_OPTION),
    ),
)
PIPELINE_RESOURCE: Final = Table(
    "a pipeline resource",
    (
        Key("pipeline", "its alias"),
        Key("source", "the pipeline's name"),
        Key("project", "its project", "none", "the desk knows one project"),
        Key("version", "number of the run that is taken when started by hand; the newest if there is none"),
        Key("branch", "branch of that run"),
        Key("tags", "tags that the run must have"),
        Key("trigger", "its runs that start this pipeline: `true`, `none`, or filters"),
    ),
)
PIPELINE_TRIGGER: Final = Table(
    "a pipeline resource's trigger",
    (
        Key("enabled", "whether it is on"),
        Key("branches", "branches of the run, by include and exclude"),
        Key("stages", "stages that must have succeeded"),
        Key("tags", "tags that the run must all have"),
    ),
)
CONTAINER_RESOURCE: Final = Table(
    "a container resource",
    (
        Key("container", "its alias"),
        *(Key(name, "see Azure's page on container resources", "none", _NO_CONTAINER) for name in (
            "type", "trigger", "azureSubscription", "resourceGroup", "registry", "repository", "localImage", "endpoint", "env", "image",
            "mapDockerSocket", "options", "ports", "volumes", "mountReadOnly", "enabled",
        )),
    ),
)  # fmt: skip
TRIGGER: Final = Table(
    "trigger",
    (
        Key("batch", "whether pushes during a run are taken together", "shown"),
        Key("branches", "branches, by include and exclude", "shown"),
        Key("paths", "paths, by include and exclude", "shown"),
        Key("tags", "tags, by include and exclude", "shown"),
    ),
)
PR: Final = Table(
    "pr",
    (
        Key("autoCancel", "whether a new push cancels the run before", "shown"),
        Key("branches", "target branches, by include and exclude", "shown"),
        Key("paths", "paths, by include and exclude", "shown"),
        Key("drafts", "whether drafts count", "shown"),
    ),
)
FILTER: Final = Table("a filter", (Key("include", "what counts", "shown"), Key("exclude", "what does not", "shown")))
SCHEDULE: Final = Table(
    "a schedule",
    (
        Key("cron", "when, in UTC: minute, hour, day, month, weekday", "shown"),
        Key("displayName", "its name for people", "shown"),
        Key("branches", "branches that are run, by include and exclude", "shown"),
        Key("batch", "whether a run that is going on holds it back", "shown"),
        Key("always", "whether it runs although nothing has changed", "shown"),
    ),
)
TASK: Final = Table("a task", (Key("task", "name and version, such as `Bash@3`"), Key("inputs", "its inputs")), _STEP)
SCRIPT: Final = Table("a script step", (Key("script", "commands; short for CmdLine@2"),), _SCRIPT, _STEP)
BASH: Final = Table("a bash step", (Key("bash", "commands; short for Bash@3"),), _SCRIPT, _STEP)
PWSH: Final = Table(
    "a pwsh step",
    (Key("pwsh", "PowerShell commands", "refused", "PowerShell is not run; write bash: or script:"),),
    _POWERSHELL,
    _SCRIPT,
    _STEP,
)
POWERSHELL: Final = Table(
    "a powershell step",
    (Key("powershell", "PowerShell commands", "refused", "PowerShell is not run; write bash: or script:"),),
    _POWERSHELL,
    _SCRIPT,
    _STEP,
)
CHECKOUT: Final = Table(
    "a checkout step",
    (
        Key("checkout", "`self`, `none` or the alias of a repository"),
        Key("path", "folder below $(Pipeline.Workspace)"),
        Key("clean", "whether the folder is cleaned first", "none", "each job has a folder of its own"),
        *(Key(name, "how much of the repository is fetched", "none", _SYNC_OPTION) for name in (
            "fetchDepth", "fetchFilter", "fetchTags", "lfs", "submodules",
        )),
        Key("persistCredentials", "whether git stays logged in", "none", "the desk needs no credentials"),
        Key("sparseCheckoutDirectories", "folders that are checked out", "refused", "the whole tree is used; leave it out"),
        Key("sparseCheckoutPatterns", "patterns that are checked out", "refused", "the whole tree is used; leave it out"),
        Key("workspaceRepo", "whether this repository's folder is the default working directory"),
    ),
    _STEP,
)  # fmt: skip
PUBLISH: Final = Table(
    "a publish step",
    (Key("publish", "file or folder; short for PublishPipelineArtifact@1"), Key("artifact", "name of the artifact")),
    _STEP,
)
DOWNLOAD: Final = Table(
    "a download step",
    (
        Key("download", "`current`, `none`, or the alias of a pipeline resource"),
        Key("artifact", "name of the artifact; all if there is none"),
        Key("patterns", "files of it"),
    ),
    _STEP,
)
_OTHER_FEED: Final = "the desk knows no such source; use download: with a pipeline resource"
DOWNLOAD_BUILD: Final = Table(
    "a downloadBuild step",
    (
        Key("downloadBuild", "alias of a build resource", "refused", _OTHER_FEED),
        *(Key(n, "see Azure's page on downloadBuild") for n in ("artifact", "path", "patterns", "inputs")),
    ),
    _STEP,
)
GET_PACKAGE: Final = Table(
    "a getPackage step", (Key("getPackage", "alias of a package resource", "refused", _OTHER_FEED), Key("path", "folder it goes to")), _STEP
)
UPLOAD: Final = Table(
    "an upload step",
    (Key("upload", "file or folder", "refused", "it was never documented; write publish:"), Key("artifact", "name of the artifact")),
    _STEP,
)
REVIEW_APP: Final = Table(
    "a reviewApp step", (Key("reviewApp", "resource of an environment", "refused", "the desk's environments have no resources"),), _STEP
)
STEPS: Final[dict[str, Table]] = {
    "task": TASK,
    "script": SCRIPT,
    "bash": BASH,
    "pwsh": PWSH,
    "powershell": POWERSHELL,
    "checkout": CHECKOUT,
    "publish": PUBLISH,
    "download": DOWNLOAD,
    "downloadBuild": DOWNLOAD_BUILD,
    "getPackage": GET_PACKAGE,
    "upload": UPLOAD,
    "reviewApp": REVIEW_APP,
}
SCRIPTS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "script": ("CmdLine@2", {}),
    "bash": ("Bash@3", {"targetType": "inline"}),
    "pwsh": ("PowerShell@2", {"targetType": "inline", "pwsh": "true"}),
    "powershell": ("PowerShell@2", {"targetType": "inline"}),
}
"""The short forms of scripts: key → the task they stand for, and the inputs that come with it. The key's value is the input `script`."""
STEP_KEYS: Final = tuple(key.name for key in _STEP)
"""What every kind of step may have."""
SCRIPT_INPUTS: Final = tuple(key.name for key in (*_SCRIPT, *_POWERSHELL))
TARGET: Final = Table(
    "a step's target",
    (
        Key("container", "container that it runs in; `host` alone is run here"),
        Key("commands", "`any` or `restricted`: which logging commands count"),
        Key("settableVariables", "`none`, or the variables that it may set"),
    ),
)
ALL: Final[tuple[Table, ...]] = (
    PIPELINE, EXTENDS, TEMPLATE_ROOTS, REFERENCE, PARAMETER, VARIABLE, TRIGGER, PR, FILTER, SCHEDULE, RESOURCES, REPOSITORY, PIPELINE_RESOURCE,
    PIPELINE_TRIGGER, CONTAINER_RESOURCE, STAGE, JOB, STRATEGY, DEPLOYMENT, ENVIRONMENT, DEPLOYMENT_STRATEGY, RUN_ONCE, ROLLING, CANARY, ON, HOOK,
    POOL, WORKSPACE, USES, *STEPS.values(), TARGET,
)  # fmt: skip
