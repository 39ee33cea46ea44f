"""Runs a pipeline job: nodes in the order of their needs, several at once, unchanged ones reused."""

from __future__ import annotations

import compileall
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from lockgate.errors import RunError, StateError
from lockgate.execution.bindings import NodeOutput, ParentInput, references, render_command
from lockgate.execution.environments import installed_packages, pin_differences
from lockgate.execution.events import JobView, NodeStatus, NodeView, Watcher
from lockgate.execution.graph import in_order
from lockgate.execution.isolation import Packages, in_it, packages_of, python_of
from lockgate.execution.outputs import save
from lockgate.execution.process import Running, stop_all
from lockgate.execution.specification import DATA_ASSETS, Literal, PathInput, PipelineJob, PipelineNode, Port, Value, with_article
from lockgate.interrupts import Interrupts
from lockgate.processes import tail
from lockgate.tracking import journal, service
from lockgate.tracking.versions import versions_of_run
from lockgate.workspace import jobs, models
from lockgate.workspace.content import Hasher, ignore_patterns, list_files
from lockgate.workspace.locate import Located, asset_of, datastore_folder, locate
from lockgate.workspace.references import Reference
from lockgate.workspace.references import parse as references_of
from lockgate.workspace.store import Store, dumps

_POLL: Final = 0.05
_LOOK_AFTER: Final = 1.0
"""Seconds after which the tracking server is started again, should somebody have killed it."""
_MARK: Final = "LOCKGATE_AZUREML_NODE"
"""In the environment of all processes of a node, with its folder."""
_REUSE_FORMAT: Final = "4"


@dataclass
class Resolved:
    """An input with its value.

    Attributes:
        value: what the command gets.
        content: what stands for it in a comparison.
        text: a literal as it was written, which is what an input of type string gets.
    """

    value: str
    content: str
    text: str | None = None

    def for_port(self, port: Port) -> Resolved:
        """As a port of a type gets it."""
        return Resolved(self.text, self.text) if port.type == "string" and self.text is not None else self


@dataclass
class Outcome:
    """How a job ended.

    Attributes:
        name: of the job.
        status: Completed, Failed or Canceled.
        folder: of the job.
        outputs: node → output → path.
        models: name and version of every model registered, or that a reused node had registered.
        reused: nodes that were not run again.
        seconds: wall-clock time.
    """

    name: str
    status: jobs.Status
    folder: Path
    outputs: dict[str, dict[str, Path]] = field(default_factory=dict)
    models: list[tuple[str, str]] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.name,
            "status": self.status,
            "folder": str(self.folder),
            "outputs": {node: {key: str(path) for key, path in found.items()} for node, found in self.outputs.items()},
            "models": [{"name": name, "version": version} for name, version in self.models],
            "reused": self.reused,
            "seconds": round(self.seconds, 3),
        }


@dataclass
class _Started:
    node: PipelineNode
    process: Running
    key: str
    outputs: dict[str, Path]
    run: str


class Runner:
    """Runs one job. Use once.

    Args:
        job: what to run.
        store: the workspace.
        watcher: is told what happens.
        parallel: how many nodes may run at once.
        reuse: whether results of unchanged nodes are used again.
        interrupts: looked at between steps.
        name: the job's name; a new one if empty.
        isolated: whether each node runs in an environment built of its conda file, not in this Python.
        strict: whether an environment that a node names must be registered, as in Azure.
    """

    def __init__(
        self, job: PipelineJob, store: Store, watcher: Watcher, *, parallel: int, reuse: bool, interrupts: Interrupts, name: str = "",
        isolated: bool = False, strict: bool = False,
    ) -> None:  # fmt: skip
        self._job = job
        self._store = store
        self._watcher = watcher
        self._parallel = parallel
        self._reuse = reuse and not job.force_rerun
        self._interrupts = interrupts
        self._unwatched = False
        self._isolated = isolated or os.environ.get("LOCKGATE_ISOLATED", "") not in ("", "0")
        self._strict = strict
        self._conda_files: dict[str, Path | None] = {}
        self._packages: dict[str, Packages] = {}
        self._pythons: dict[str, Path] = {}
        # The desk runs nodes in its own Python: other packages there, other results.
        self._installed = installed_packages()
        self._name = name or jobs.new_job_name()
        self._folder = store.job_folder(self._name)
        self._hasher = Hasher(store.folder / "hashes.json")
        self._snapshots: dict[Path, tuple[str, Path]] = {}
        self._contents: dict[tuple[str, str], str] = {}
        self._located: dict[Reference, Located] = {}
        self._outcome = Outcome(self._name, "Running", self._folder)
        views = {name: NodeView(name, tuple(sorted(node.needs()))) for name, node in job.nodes.items()}
        self._view = self.view = JobView(self._name, job.display_name, views)
        self._started: dict[str, _Started] = {}
        self._mlflow = store.mlflow_folder
        self._tracking = ""
        self._looked_after = 0.0
        self._parent_run = ""

    def run(self) -> Outcome:
        """Run the job to its end.

        Raises:
            StateError: an asset that it names does not exist.
            KeyboardInterrupt: after everything was stopped.
        """
        with jobs.held(self._store, self._name):
            return self._run()

    def _run(self) -> Outcome:
        begun = time.monotonic()
        inputs = {name: self._resolve_own(value) for name, value in self._job.inputs.items()}
        self._check_models()
        self._find_environments()
        jobs.mark_dead_jobs(self._store)
        job = self._job
        jobs.create_job(
            self._store, self._name, job.display_name, job.experiment, str(job.path), kind=job.kind, tags=job.tags, properties=job.properties,
            description=job.description,
        )  # fmt: skip
        self._view.notes += job.notes
        self._note_differences()
        self._tell(lambda: self._watcher.begin(self._view))
        status: jobs.Status = "Failed"
        reason: str | None = "the desk failed"
        try:
            self._build_environments()
            self._loop(inputs)
            lost = self._save_own_outputs()
            failed = [v.name for v in self._view.nodes.values() if v.status == "failed"]
            status = "Failed" if failed or lost else "Completed"
            reason = f"failed: {', '.join(failed)}" if failed else lost or None
        except (KeyboardInterrupt, BrokenPipeError):
            status, reason = "Canceled", "interrupted"
            raise
        finally:
            stop_all([started.process for started in self._started.values()], lambda: self._interrupts.count > 1)
            for started in list(self._started.values()):
                self._finish(started, "canceled", "stopped")
            self._end_parent(status)
            jobs.end_job(self._store, self._name, status, reason)
            self._hasher.save()
            self._outcome.status = status
            self._outcome.seconds = time.monotonic() - begun
            self._tell(lambda: self._watcher.end(self._view))
        return self._outcome

    def _tell(self, what: Callable[[], None]) -> None:
        """Tell the watcher. Once nobody listens any more, the loop ends; the cleaning up goes on all the same."""
        if self._unwatched:
            return
        try:
            what()
        except OSError:
            self._unwatched = True

    # Inputs -----------------------------------------------------------------------------------------------------------

    def _resolve_own(self, value: Value, port: Port | None = None) -> Resolved:
        if isinstance(value, PathInput):
            if value.reference is not None:
                return self._resolve_reference(value, value.reference, value.type or (port.type if port else "") or "uri_folder")
            if value.path is None:
                raise RunError(f"{value.node.place}: has neither path nor reference")
            return Resolved(str(value.path), self._hasher.tree(value.path))
        if isinstance(value, Literal):
            return Resolved(_text(value.value), _text(value.value), value.text)
        raise RunError("a pipeline's own input can't be bound")

    def _resolve_reference(self, value: PathInput, reference: Reference, kind: str) -> Resolved:
        """What an address of an input names. It stays the same for the whole job, whatever a label is given to meanwhile."""
        found = self._located.get(reference)
        if found is None:
            try:
                found = locate(self._store, reference, "data" if kind in DATA_ASSETS else "model")
            except StateError as error:
                hint = "" if kind in DATA_ASSETS else "; a model is there once a job has registered one"
                raise type(error)(f"{value.node.place}: {error}{hint}") from None
            self._located[reference] = found
            if reference.label:
                self._view.notes.append(f"{value.node.place}: {value.node.text} is {found.exact}")
        wrong = Port("", kind).refuses(found.type)
        if wrong:
            raise StateError(f"{value.node.place}: {found.exact} is {with_article(found.type)}; {wrong}")
        return Resolved(str(found.path), found.sha256 or self._hasher.tree(found.path))

    def _check_models(self) -> None:
        """Everything that nodes name in the workspace exists, and every datastore that outputs go to, before anything starts."""
        for node in self._job.nodes.values():
            for name, value in node.inputs.items():
                if isinstance(value, PathInput):
                    self._resolve_own(value, node.component.inputs[name])
        kept = [saved for node in self._job.nodes.values() for saved in node.saved.values()]
        for saved in (*kept, *(saved for _, saved in self._job.outputs.values() if saved is not None)):
            if saved.path is not None:
                try:
                    datastore_folder(self._store, saved.path.name)
                except StateError as error:
                    raise type(error)(f"{saved.node.place}: {error}") from None

    def _find_environments(self) -> None:
        """Every node's conda file, and with `isolated` a Python with its packages."""
        for node in self._job.nodes.values():
            component = node.component
            self._conda_files[node.name] = component.conda_file
            if component.conda_file is None and component.environment.startswith("azureml:"):
                self._conda_files[node.name] = self._registered(component.environment)
            conda = self._conda_files[node.name]
            if self._isolated and conda is not None:
                self._packages[node.name] = packages_of(conda)

    def _build_environments(self) -> None:
        for name, packages in self._packages.items():
            self._pythons[name] = python_of(self._store.root, packages, lambda text: print(text, file=sys.stderr, flush=True))

    def _registered(self, text: str) -> Path | None:
        """The conda file of a registered environment, kept where it can be read; None if it has none."""
        reference = references_of(text)
        if reference.kind == "registry" and reference.place == "azureml":
            self._view.notes.append(f"{text} is one of Azure's own environments; what is in it is not known here")
            return None
        try:
            asset = asset_of(self._store, reference, "environment")
        except StateError as error:
            if self._strict:
                raise
            note = f"{error}; nothing is compared with it"
            if note not in self._view.notes:
                self._view.notes.append(note)
            return None
        packages = asset.spec.get("conda_file")
        if packages is None:
            return None
        path = self._store.folder / "environment-files" / f"{asset.name}-{asset.version}.yml"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            beside.write_text(yaml.safe_dump(packages, sort_keys=False), encoding="utf-8")
            beside.replace(path)
        return path

    def _inputs_of(self, node: PipelineNode, own: Mapping[str, Resolved]) -> dict[str, Resolved]:
        found: dict[str, Resolved] = {}
        for name, port in node.component.inputs.items():
            value = node.inputs.get(name)
            if value is None:
                if port.default is not None:
                    found[name] = Resolved(_text(port.default), _text(port.default))
            elif isinstance(value, ParentInput):
                found[name] = own[value.name].for_port(port)
            elif isinstance(value, NodeOutput):
                path = self._outcome.outputs[value.node][value.name]
                found[name] = Resolved(str(path), self._content_of(value, path))
            else:
                found[name] = self._resolve_own(value, port).for_port(port)
        return found

    def _content_of(self, output: NodeOutput, path: Path) -> str:
        key = (output.node, output.name)
        if key not in self._contents:
            self._contents[key] = self._hasher.tree(path)
        return self._contents[key]

    def _snapshot(self, code: Path) -> tuple[str, Path]:
        """A copy of a code folder as it is now, without what `.amlignore` leaves out: what Azure would upload."""
        if code not in self._snapshots:
            ignore = ignore_patterns(code)
            content = self._hasher.tree(code, ignore)
            target = self._store.folder / "code" / content[:16]
            if not target.exists():
                temporary = target.with_name(f".{target.name}.{os.getpid()}")
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(parents=True)
                for file in list_files(code, ignore):
                    copy = temporary / file.relative_to(code)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file, copy)
                # Compiled once here, not by every node in its copy; what can't be compiled fails where it is used.
                compileall.compile_dir(temporary, quiet=2, stripdir=temporary)
                try:
                    temporary.rename(target)
                except OSError:  # Another desk was quicker; its copy has the same content.
                    shutil.rmtree(temporary)
            self._snapshots[code] = content, target
        return self._snapshots[code]

    def _note_differences(self) -> None:
        files = {self._conda_files[name] for name in self._job.nodes}
        for file in sorted(file for file in files if file is not None and not self._isolated):
            differences = pin_differences(file)
            if differences:
                shown = "; ".join(differences[:4]) + (f"; and {len(differences) - 4} more" if len(differences) > 4 else "")
                self._view.notes.append(f"environment {file.name}: {shown}")

    # The loop ---------------------------------------------------------------------------------------------------------

    def _loop(self, own: Mapping[str, Resolved]) -> None:
        followers = self._followers()
        while True:
            if self._interrupts.count:
                raise KeyboardInterrupt
            if self._unwatched:
                raise BrokenPipeError
            self._collect()
            self._look_after_tracking()
            self._skip()
            ready = [self._job.nodes[v.name] for v in self._view.nodes.values() if v.status == "waiting" and self._is_ready(v)]
            # The nodes that more wait for come first: they are the longer way.
            ready.sort(key=lambda n: -followers[n.name])
            progress = False
            for node in ready:
                if len(self._started) >= self._parallel:
                    break
                self._start(node, own)
                progress = True
            if not self._started and not progress:
                if any(v.status == "waiting" for v in self._view.nodes.values()) and ready:
                    continue
                return
            if not progress:
                self._tell(lambda: self._watcher.tick(self._view))
                time.sleep(_POLL)

    def _look_after_tracking(self) -> None:
        if self._started and time.monotonic() - self._looked_after > _LOOK_AFTER:
            self._looked_after = time.monotonic()
            address = service.ensure(self._mlflow)
            if address != self._tracking:
                self._view.notes.append(
                    f"the tracking server was ended, and its port is taken: what is running can't log; new nodes log to {address}"
                )
                self._tracking = address

    def _is_ready(self, view: NodeView) -> bool:
        return all(self._view.nodes[need].status in ("completed", "reused") for need in view.needs)

    def _followers(self) -> dict[str, int]:
        """Node → length of the longest way from it to the end."""
        following: dict[str, list[str]] = {name: [] for name in self._view.nodes}
        for view in self._view.nodes.values():
            for need in view.needs:
                following[need].append(view.name)
        found: dict[str, int] = {}
        for name in reversed(in_order({view.name: set(view.needs) for view in self._view.nodes.values()})):
            found[name] = 1 + max((found[after] for after in following[name]), default=0)
        return found

    def _skip(self) -> None:
        """What can't run any more is skipped: it needs a node that failed, or the file says to stop at a failure."""
        bad = {v.name for v in self._view.nodes.values() if v.status in ("failed", "skipped", "canceled")}
        stop = bool(bad) and not self._job.continue_on_failure
        for view in self._view.nodes.values():
            if view.status != "waiting":
                continue
            broken = [need for need in view.needs if need in bad]
            if broken or stop:
                detail = f"needs {broken[0]}" if broken else "another node failed"
                self._change(view, "skipped", detail)
                bad.add(view.name)

    def _change(self, view: NodeView, status: NodeStatus, detail: str) -> None:
        view.status, view.detail = status, detail
        self._tell(lambda: self._watcher.change(self._view, view))

    def _start(self, node: PipelineNode, own: Mapping[str, Resolved]) -> None:
        view = self._view.nodes[node.name]
        inputs = self._inputs_of(node, own)
        code, snapshot = self._snapshot(node.component.code) if node.component.code else ("", None)
        key = self._reuse_key(node, inputs, code)
        if self._reuse and node.component.deterministic and self._use_again(node, key, view):
            return
        here = self._folder / node.name
        outputs = {name: self._output_path(here, port) for name, port in node.component.outputs.items()}
        used = {r.name for r in references(node.component.command) if r.kind == "inputs"}
        command = render_command(
            node.component.command,
            {name: found.value for name, found in inputs.items() if name in used},
            {name: str(path) for name, path in outputs.items()},
        )
        folder = here / "code"
        if snapshot is not None:
            shutil.copytree(snapshot, folder, copy_function=shutil.copy2)
        else:
            folder.mkdir(parents=True)
        # What a script writes into ./outputs, Azure keeps; the folder is there before it starts.
        (folder / "outputs").mkdir(exist_ok=True)
        run = self._begin_run(node)
        environment = {**self._environment(node, run), **command.variables}
        if node.name in self._pythons:
            environment = in_it(self._pythons[node.name], environment)
        view.log = here / "log.txt"
        process = Running(command.command, folder, environment, view.log, f"{_MARK}={self._folder / node.name}")
        self._started[node.name] = _Started(node, process, key, outputs, run)
        self._change(view, "running", "")

    def _output_path(self, here: Path, port: Port) -> Path:
        path = here / "outputs" / port.name
        (path.parent if port.type == "uri_file" else path).mkdir(parents=True, exist_ok=True)
        return path

    def _environment(self, node: PipelineNode, run: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "AZUREML_"))}
        return {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "MLFLOW_TRACKING_URI": self._tracking,
            # A store that has gone is said within seconds; MLflow's own patience is minutes.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
            "MLFLOW_RUN_ID": run,
            # MLflow would print an address that ends with the server, and has no page behind it.
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "MLFLOW_EXPERIMENT_NAME": self._job.experiment,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "AZUREML_RUN_ID": self._name if self._job.kind != "pipeline" else f"{self._name}.{node.name}",
            "AZUREML_ROOT_RUN_ID": self._name,
            **node.environment_variables,
            **dict([jobs.mark(self._store, self._name).split("=", 1)]),
            _MARK: str(self._folder / node.name),
        }

    def _collect(self) -> None:
        for name, started in list(self._started.items()):
            view = self._view.nodes[name]
            view.seconds = started.process.seconds
            view.detail = started.process.last_line()
            code = started.process.poll()
            limit = started.node.timeout
            if code is None and limit is not None and view.seconds > limit:
                stop_all([started.process], lambda: self._interrupts.count > 0)
                del self._started[name]
                self._finish(started, "failed", f"stopped after its limits.timeout of {limit:g} s")
            elif code is not None:
                started.process.sweep()
                del self._started[name]
                if code == 0:
                    self._complete(started)
                else:
                    self._finish(started, "failed", f"exit code {code}")

    def _complete(self, started: _Started) -> None:
        missing = [name for name, path in started.outputs.items() if not path.exists()]
        if missing:
            self._finish(started, "failed", f"wrote no output {', '.join(missing)}")
            return
        taken: list[tuple[str, str]] = []
        try:
            for found in versions_of_run(self._mlflow, started.run):
                models.take_in(
                    self._store, found.name, found.version, found.folder, tags=found.tags, description=found.description, job=self._name
                )
                taken.append((found.name, found.version))
        except (StateError, OSError) as error:
            self._finish(started, "failed", f"a model that it registered could not be taken in: {error}")
            return
        try:
            self._save_outputs(started.node, started.outputs)
        except (StateError, OSError) as error:
            self._finish(started, "failed", f"an output could not be kept: {error}")
            return
        self._outcome.outputs[started.node.name] = started.outputs
        self._outcome.models += taken
        outputs = {name: str(path) for name, path in started.outputs.items()}
        contents = {name: self._hasher.tree(path) for name, path in started.outputs.items()}
        self._contents |= {(started.node.name, name): content for name, content in contents.items()}
        found_again = jobs.Reusable(self._name, started.node.name, outputs, contents, [list(pair) for pair in taken])
        if started.node.component.deterministic:
            jobs.keep_reusable(self._store, started.key, found_again)
        self._finish(started, "completed", started.process.last_line())

    def _save_outputs(self, node: PipelineNode, outputs: Mapping[str, Path]) -> None:
        for name, saved in node.saved.items():
            self._view.notes += save(self._store, saved, outputs[name], self._name)

    def _save_own_outputs(self) -> str:
        """The pipeline's own outputs: those of its nodes that it names, as far as these have ended well. Why one can't be kept, if one can't."""
        found: dict[str, str] = {}
        lost = ""
        for name, (source, saved) in self._job.outputs.items():
            made = self._outcome.outputs.get(source.node)
            if made is None:
                continue
            path = made[source.name]
            found[name] = str(path)
            try:
                self._view.notes += save(self._store, saved, path, self._name) if saved is not None else []
            except (StateError, OSError) as error:
                lost = f"output {name} could not be kept: {error}"
                self._view.notes.append(lost)
        if found:
            jobs.record_node(self._store, self._name, jobs.OWN, "Completed", seconds=0.0, reused_from=None, outputs=found, run_id=None)
        return lost

    def _finish(self, started: _Started, status: NodeStatus, detail: str) -> None:
        view = self._view.nodes[started.node.name]
        view.seconds = started.process.seconds
        names: dict[str, tuple[jobs.Status, str]] = {
            "completed": ("Completed", "FINISHED"),
            "failed": ("Failed", "FAILED"),
            "canceled": ("Canceled", "KILLED"),
        }
        recorded, ended = names[status]
        journal.end_run(self._mlflow, started.run, status=ended)
        jobs.record_node(
            self._store, self._name, view.name, recorded, seconds=view.seconds, reused_from=None,
            outputs={name: str(path) for name, path in started.outputs.items()}, run_id=started.run,
        )  # fmt: skip
        self._change(view, status, detail)

    # Reuse ------------------------------------------------------------------------------------------------------------

    def _reuse_key(self, node: PipelineNode, inputs: Mapping[str, Resolved], code: str) -> str:
        """What a node's results depend on: its command, code, inputs, environment and Python."""
        component = node.component
        parts = {
            "format": _REUSE_FORMAT,
            "command": component.command,
            "code": code,
            "inputs": {name: found.content for name, found in inputs.items()},
            "outputs": sorted(component.outputs),
            "environment": component.environment,
            "conda": self._hasher.file(conda) if (conda := self._conda_files.get(node.name)) else "",
            "variables": node.environment_variables,
            "python": sys.version,
            "installed": str(self._pythons[node.name]) if node.name in self._pythons else self._installed,
            "node": node.name,
        }
        return hashlib.sha256(dumps(parts).encode()).hexdigest()

    def _use_again(self, node: PipelineNode, key: str, view: NodeView) -> bool:
        found = jobs.find_reusable(self._store, key)
        if found is None:
            return False
        for name, path in found.outputs.items():
            # Somebody may have tidied up, or changed a file: then the results are not those of this node any more.
            if not Path(path).exists() or self._hasher.tree(Path(path)) != found.contents[name]:
                return False
        there = set(models.list_models(self._store)) if found.models else set()
        if not all((name, version) in there for name, version in found.models):
            return False
        outputs = {name: Path(path) for name, path in found.outputs.items()}
        try:
            self._save_outputs(node, outputs)
        except (StateError, OSError) as error:
            self._change(view, "failed", f"an output could not be kept: {error}")
            return True
        self._outcome.outputs[node.name] = outputs
        self._outcome.models += [(name, version) for name, version in found.models]
        self._outcome.reused.append(node.name)
        view.log = self._store.job_folder(found.job) / found.node / "log.txt"
        jobs.record_node(
            self._store, self._name, node.name, "Completed", seconds=0.0, reused_from=f"{found.job}/{found.node}",
            outputs=found.outputs, run_id=None,
        )  # fmt: skip
        self._change(view, "reused", f"unchanged since {found.job}")
        return True

    # MLflow -----------------------------------------------------------------------------------------------------------

    def _begin_run(self, node: PipelineNode) -> str:
        self._tracking = service.ensure(self._mlflow)
        own = {**self._job.tags, "lockgate.job": self._name, "lockgate.file": str(self._job.path)}
        if self._job.kind != "pipeline":
            run = journal.begin_run(self._mlflow, self._job.experiment, self._job.display_name, None, own)
            jobs.set_job_run(self._store, self._name, run)
            return run
        if not self._parent_run:
            self._parent_run = journal.begin_run(self._mlflow, self._job.experiment, self._job.display_name, None, own)
            jobs.set_job_run(self._store, self._name, self._parent_run)
        tags = {"lockgate.job": self._name, "lockgate.node": node.name}
        return journal.begin_run(self._mlflow, self._job.experiment, node.display_name, self._parent_run, tags)

    def _end_parent(self, status: jobs.Status) -> None:
        if self._parent_run:
            ended = {"Completed": "FINISHED", "Canceled": "KILLED"}.get(status, "FAILED")
            journal.end_run(self._mlflow, self._parent_run, status=ended)


def _text(value: Any) -> str:
    """A literal as a command gets it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def failure_report(view: JobView, lines: int = 20) -> str:
    """The last lines of every failed node."""
    parts = []
    for node in view.nodes.values():
        if node.status == "failed":
            parts.append(f"── {node.name} failed: {node.detail} ── {node.log or ''}")
            parts += [f"   {line}" for line in (tail(node.log, lines) if node.log else [])]
    return "\n".join(parts)
