"""`lockgate up`: the whole delivery on this machine, from raw data to a production endpoint that answers."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from lockgate.commands._shared import at_least_one, find_root
from lockgate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lockgate.agent.events import View
    from lockgate.agent.runs import RunFolder
    from lockgate.delivery import Place

FIRST: Final = "dev-model-training"
SECOND: Final = "stage-register-in-staging"
INFRASTRUCTURE: Final = "infrastructure/pipelines/bicep-ado-deploy-infra.yml"
INFRASTRUCTURE_NAME: Final = "bicep-ado-deploy-infra"
_LANES: Final = {
    "dev": ((f"{INFRASTRUCTURE_NAME} {{lane}}", "infrastructure"), (FIRST, "training")),
    "stage": (
        (f"{INFRASTRUCTURE_NAME} {{lane}}", "infrastructure"), (SECOND, "register"), ("stage-model-testing", "test"), ("stage-batch-endpoint", "batch"),
        ("stage-online-endpoint", "online"),
    ),
    "prod": (
        (f"{INFRASTRUCTURE_NAME} {{lane}}", "infrastructure"), ("prod-register-in-production", "register"), ("prod-online-endpoint", "online"),
        ("prod-batch-endpoint", "batch"),
    ),
}  # fmt: skip
"""Environment → its pipelines in their order, and what they are called in the picture."""
_STANDS: Final[dict[str, str]] = {}
"""Pipeline → the sign of how it stands, over the runs of this process."""
LAST: Final = "prod-batch-endpoint"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--seconds", type=int, metavar="S", help="time that the search may take (default: 30)")
    parser.add_argument("--automl", choices=("own", "azure"), default="own", help="whose AutoML job is run (default: own)")
    parser.add_argument(
        "--ask", action="store_true", help="wait for `lockgate approve` where production asks, and approve nothing by itself"
    )
    parser.add_argument("--again", action="store_true", help="run everything, also if nothing has changed")
    parser.add_argument("--plain", action="store_true", help="lines instead of a live tree")
    parser.add_argument("--logs", action="store_true", help="show what the steps print")
    parser.add_argument(
        "--endpoints", action="store_true", help="bring back the endpoints that were there, after `down` or a restart, and nothing else"
    )
    alone = parser.add_argument_group("training alone")
    alone.add_argument("--train", action="store_true", help="run the training job and nothing that follows")
    alone.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="change a value of the job; repeatable"
    )
    alone.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="nodes at once (default: the cores of this machine)"
    )


def run(args: argparse.Namespace) -> int:
    """Deliver, and show what came of it."""
    if args.endpoints:
        return _endpoints()
    from lockgate.up import TRAINING

    root = next((f for f in (Path.cwd(), *Path.cwd().parents) if (f / TRAINING).exists()), None)
    if root is None:
        raise UsageError(f"up: found no {TRAINING} here or above; go into a Lockgate repository")
    if args.train:
        from lockgate.interrupts import Interrupts
        from lockgate.up import up

        return up(root, args.overrides, parallel=at_least_one(args.jobs), plain=args.plain, interrupts=Interrupts())
    if args.overrides:
        raise UsageError("--set is for --train; the delivery takes --seconds and --automl")
    if args.seconds is not None and not 1 <= args.seconds <= 86_400:
        raise UsageError(f"--seconds {args.seconds}: allowed: 1 to 86400")
    return _deliver(args, root)


def _deliver(args: argparse.Namespace, root: Path) -> int:
    from lockgate import delivery
    from lockgate.agent.runs import Runs

    begin = time.monotonic()
    fingerprint = _fingerprint(args, root)
    if not args.again and _is_unchanged(root, fingerprint):
        kept = json.loads((root / ".lockgate" / "up.json").read_text(encoding="utf-8"))
        trained, release = Runs(root).find(kept["trained"]), kept["release"]
        print(
            f"unchanged since run {kept['last']}: data, code and settings are those that went all the way, and production answers; "
            "nothing is run again (--again does)"
        )
        _say(root, trained, release, time.monotonic() - begin)
        return 0
    for what in delivery.prepare(root):
        print(f"made     {what}")
    with _Infrastructure(args, root) as infrastructure:
        return _chain(args, root, infrastructure, begin, fingerprint)


def _chain(args: argparse.Namespace, root: Path, infrastructure: _Infrastructure, begin: float, fingerprint: str) -> int:
    """Training, and what follows it."""
    from lockgate import delivery
    from lockgate.agent.runs import Runs

    if code := infrastructure.dev():
        return code
    parameters = ["-p", f"automl={args.automl}", *(["-p", f"searchSeconds={args.seconds}"] if args.seconds else [])]
    code = _run(args, root, f"mlops-pipelines/{FIRST}.yml", "--no-follow", *parameters)
    runs = Runs(root)
    trained = runs.of_pipeline(FIRST)[-1]
    if code:
        return code
    release = delivery.release_of(trained.path)
    if not release:
        print(f"\nREFUSED: nothing is released, and what production has stays; report: {_report(trained, root)}")
        return 1
    if trained.record.get("sourceBranch") == "refs/heads/main":
        if code := infrastructure.others():
            return code
        code = _run(args, root, f"mlops-pipelines/{SECOND}.yml", "--resource", f"upstream={trained.id}")
    elif not trained.record.get("sourceBranch"):
        print("there is no branch here (no git, no commit, or a detached HEAD): the release stops after dev; go on with a commit on main")
    else:
        print(f"{trained.record.get('sourceBranch')} is not refs/heads/main: the release stops after dev, as in Azure DevOps")
    last = runs.of_pipeline(LAST)[-1:]
    if not code and last and last[0].id > trained.id and last[0].record.get("result") == "Succeeded":
        new = {"fingerprint": fingerprint, "trained": trained.id, "last": last[0].id, "release": release}
        (root / ".lockgate" / "up.json").write_text(json.dumps(new), encoding="utf-8")
    _say(root, trained, release, time.monotonic() - begin)
    return code


class _Infrastructure:
    """The first act: the infrastructure pipeline of each environment that is not as its files say.

    Training waits only for dev's; the others are made beside it, since its search takes a fixed time anyway.
    """

    def __init__(self, args: argparse.Namespace, root: Path) -> None:
        from lockgate import delivery
        from lockgate.agent.git import commit_of
        from lockgate.workspace.content import Hasher

        self._args, self._root = args, root
        self._fingerprint = Hasher(root / ".lockgate" / "up-hashes.json").tree(root / "infrastructure")
        self._missing = [place for place in delivery.places(root) if args.again or not delivery.is_built(root, place, self._fingerprint)]
        if commit_of(root).branch != "refs/heads/main":
            self._missing = [place for place in self._missing if place.name == "dev"]
        self._beside: dict[str, subprocess.Popen[bytes]] = {}
        missing = {place.name for place in self._missing}
        _STANDS.update({f"{INFRASTRUCTURE_NAME} {place.name}": "✔" for place in delivery.places(root) if place.name not in missing})

    def __enter__(self) -> Self:
        from lockgate.state import STATE_FOLDER
        from lockgate.tracking import service

        # The training's last nodes log to it; until then it has brought in MLflow.
        service.wake(self._root / STATE_FOLDER / "mlflow")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._beside.values():
            if process.poll() is None:
                process.terminate()
        for process in self._beside.values():
            process.wait()

    def _log(self, name: str) -> Path:
        return self._root / ".lockgate" / f"infrastructure-{name}.log"

    def dev(self) -> int:
        """Make dev's, and begin with the others'; the exit code."""
        code = next((self._make(place) for place in self._missing if place.name == "dev"), 0)
        if not code:
            self._begin_others()
        return code

    def _begin_others(self) -> None:
        # Not before dev's is made: runs of one pipeline wait for each other's stages. Where somebody is asked, one after the other asks.
        for place in () if self._args.ask else self._missing:
            if place.name != "dev":
                with self._log(place.name).open("wb") as log:
                    command = [sys.executable, "-m", "lockgate", "run", INFRASTRUCTURE, "--plain", "--yes", "--no-follow"]
                    self._beside[place.name] = subprocess.Popen(
                        [*command, "-p", f"environment={place.name}"], cwd=self._root, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                    )
                    _STANDS[f"{INFRASTRUCTURE_NAME} {place.name}"] = "▶"

    def others(self) -> int:
        """Make the others', or wait for them; the exit code."""
        from lockgate import delivery

        for place in self._missing:
            if place.name == "dev":
                continue
            process = self._beside.get(place.name)
            code = process.wait() if process else self._make(place)
            if code and process:
                print(
                    f"the infrastructure of {place.name} could not be made; its run said, in {self._log(place.name).relative_to(self._root)}:"
                )
                print("\n".join(self._log(place.name).read_text(encoding="utf-8", errors="replace").splitlines()[-15:]))
            if code:
                return code
            if process:
                delivery.built(self._root, place, self._fingerprint)
                _STANDS[f"{INFRASTRUCTURE_NAME} {place.name}"] = "✔"
                print(f"made     infrastructure of {place.name}, beside the training")
        return 0

    def _make(self, place: Place) -> int:
        from lockgate import delivery

        code = _run(self._args, self._root, INFRASTRUCTURE, "--no-follow", "-p", f"environment={place.name}")
        if not code:
            delivery.built(self._root, place, self._fingerprint)
        return code


def _fingerprint(args: argparse.Namespace, root: Path) -> str:
    """Stands for all files of the repository but ignored ones, and for what `up` was asked for."""
    import hashlib

    from lockgate.agent.git import commit_of
    from lockgate.workspace.content import Hasher

    ignored = (root / ".gitignore").read_text(encoding="utf-8").splitlines() if (root / ".gitignore").exists() else []
    files = Hasher(root / ".lockgate" / "up-hashes.json")
    content = files.tree(root, tuple(ignored))
    files.save()
    return hashlib.sha256(json.dumps([content, args.seconds, args.automl, commit_of(root).branch]).encode()).hexdigest()


def _is_unchanged(root: Path, fingerprint: str) -> bool:
    """Whether the last `up` ended well with the same files, and what it deployed answers still."""
    from lockgate import delivery

    path = root / ".lockgate" / "up.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        model = f"{kept['release']['model']}:{kept['release']['version']}"
        there = all((root / ".lockgate" / "runs" / str(kept[name])).is_dir() for name in ("trained", "last"))
    except (OSError, ValueError, KeyError):
        return False
    if not there or kept.get("fingerprint") != fingerprint:
        return False
    for place in delivery.places(root):
        rows = [
            row for row in delivery.deployments(root, place) if row["endpoint"] == place["online_endpoint"] and row["traffic"] == "100 %"
        ]
        # Somebody may have rolled back, or stopped it.
        if place.name != "dev" and [(row["model"], row["state"]) for row in rows] != [(model, "Succeeded")]:
            return False
    return True


def _run(args: argparse.Namespace, root: Path, pipeline: str, *words: str) -> int:
    """Run a pipeline, and those that it starts, as `lockgate run` does."""
    from lockgate.commands import run as command

    parser = argparse.ArgumentParser()
    command.add(parser)
    own = [*(["--plain"] if args.plain else []), *(["--logs"] if args.logs else []), *([] if args.ask else ["--yes"])]
    parsed = parser.parse_args([str(root / pipeline), *own, *words])
    stop = Path(pipeline).stem
    if stop == INFRASTRUCTURE_NAME:
        stop += " " + next(word.partition("=")[2] for word in words if word.startswith("environment="))
    parsed.lanes = _lanes_of(stop)
    code = command.run(parsed)
    # What is drawn last is the run while it runs, and a later one's picture is drawn without its records. The code is also that of the runs it started.
    _STANDS[stop] = "✘" if code else "✔"
    return code


def _lanes_of(stop: str) -> Callable[[str, View, list[dict[str, Any]]], list[str]]:
    """A picture of the delivery: each environment a lane, each pipeline a stop, with a sign for how it stands. This one is run, and those that it starts."""

    def lanes(name: str, view: View, records: list[dict[str, Any]]) -> list[str]:
        from lockgate.agent.display import SYMBOLS

        running = stop if name == INFRASTRUCTURE_NAME else name
        for one in records:
            _STANDS[one["pipeline"]] = SYMBOLS.get(one.get("result") or "waiting", "·")
        _STANDS[running] = SYMBOLS[view.status]
        return [
            f"{lane.upper():<6}" + " ── ".join(f"{_STANDS.get(pipeline.format(lane=lane), '·')} {title}" for pipeline, title in stops)
            for lane, stops in _LANES.items()
        ]

    return lanes


def _report(run: RunFolder, root: Path) -> str:
    path = run.path / "artifacts" / "report" / "report.html"
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _notes(root: Path, trained: RunFolder) -> Path | None:
    """The notes of the release that began with a training."""
    from lockgate.agent.runs import Runs

    last = [run for run in Runs(root).of_pipeline(LAST) if run.id > trained.id][-1:]
    path = last[0].path / "artifacts" / "release" / "notes.md" if last else None
    return path.relative_to(root) if path is not None and path.exists() else None


def _say(root: Path, trained: RunFolder, release: dict[str, Any], seconds: float) -> None:
    """Verdict, figures, versions, the address with an answer, and how to stop."""
    from lockgate import delivery
    from lockgate.up import figures

    metrics = trained.path / "artifacts" / "report" / "metrics.json"
    print(f"\n{release['summary']}  ({seconds:.1f} s)\n")
    if metrics.exists():
        print(figures(json.loads(metrics.read_text(encoding="utf-8"))))
        print()
    for place in delivery.places(root):
        print(f"{place.name:<8} {delivery.newest(root, place) or 'no model yet'}")
        rows = delivery.deployments(root, place)
        if rows:
            print(delivery.table(rows, ("endpoint", "deployment", "model", "traffic", "state"), "         "))
    print(f"\nreport   {_report(trained, root)}")
    if (notes := _notes(root, trained)) is not None:
        print(f"notes    {notes}   (who approved what)")
    prod = next((one for one in delivery.places(root) if one.name == "prod"), None)
    rows = delivery.deployments(root, prod) if prod else []
    live = [row for row in rows if prod and row["endpoint"] == prod["online_endpoint"] and row["uri"] and row["traffic"] == "100 %"]
    if prod is not None and live:
        print(_answered(root, live[0]["uri"], delivery.key_of(root, prod)))
    # As the README calls it, where the command itself is not on PATH.
    command = "./run" if (root / "run").exists() else "lockgate"
    print(f"status   {command} status\nstop     {command} down")
    if sum(row["kind"] == "online" for row in rows) > 1:
        print(f"back     {command} run mlops-pipelines/rollback-online-endpoint.yml   (production answers with the release before again)")


def _answered(root: Path, uri: str, key: str) -> str:
    """A line to try it with, and what that answers now."""
    import http.client
    import urllib.parse

    request = root / "data-science" / "data" / "request.json"
    target = urllib.parse.urlsplit(uri)
    line = f"curl {uri} -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d @{request.relative_to(root)}"
    if not request.exists():
        return f"try      {line}  (put a few rows into {request.relative_to(root)} first)"
    connection = http.client.HTTPConnection(target.netloc, timeout=30)
    try:
        connection.request(
            "POST", target.path, request.read_bytes(), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except OSError as error:
        return f"try      {line}\nanswer   none: {error}"
    finally:
        connection.close()
    return f"try      {line}\nanswer   {answer.status} {text[:400]}"


def _endpoints() -> int:
    """Start every online endpoint that is there."""
    from lockgate.serving.endpoint_process import ensure
    from lockgate.workspace import endpoints
    from lockgate.workspace.cloud import all_stores

    found = [(store, one.name) for store in all_stores(find_root(Path.cwd())) for one in endpoints.all_endpoints(store, "online")]
    for store, name in found:
        ensure(store, name)
        now = endpoints.find_endpoint(store, "online", name)
        print(f"endpoint {name} of workspace {store.workspace}: http://127.0.0.1:{now.port}/score")
    if not found:
        print("there is no endpoint")
    return 0
