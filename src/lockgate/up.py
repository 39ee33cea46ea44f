"""`lockgate up`: trains by the repository's own job, and shows what came of it with one scored request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from lockgate.errors import RunError
from lockgate.execution.display import make_watcher
from lockgate.execution.job_file import load_job
from lockgate.execution.overrides import parse_override
from lockgate.execution.runner import Outcome, Runner, failure_report
from lockgate.interrupts import Interrupts
from lockgate.workspace import models
from lockgate.workspace.store import Store

TRAINING: Final = Path("mlops-pipelines/train/dev-train.yml")
STAGE_TEST: Final = Path("mlops-pipelines/test/stage-test.yml")
_SCORE: Final = "import json, sys, score; score.init(); print(json.dumps(score.run(sys.stdin.buffer.read())))"


def up(root: Path, overrides: list[str], *, parallel: int, plain: bool, interrupts: Interrupts) -> int:
    """Train, and score the requests of `data-science/data/request.json` with the model registered.

    Returns:
        0; or 1 if a node failed or the gate refused the model.
    """
    job = load_job(root / TRAINING, [parse_override(text) for text in overrides], root)
    store = Store(root)
    runner = Runner(job, store, make_watcher(plain=plain), parallel=parallel, reuse=True, interrupts=interrupts)
    outcome = runner.run()
    if outcome.status != "Completed":
        print(failure_report(runner.view), file=sys.stderr)
        return 1
    return _summary(root, store, outcome)


def _summary(root: Path, store: Store, outcome: Outcome) -> int:
    evaluation = outcome.outputs["evaluate"]["evaluation"]
    decision = json.loads((evaluation / "decision.json").read_text())
    metrics = json.loads((evaluation / "metrics.json").read_text())
    reused = f" ({len(outcome.reused)} of {len(outcome.outputs)} nodes reused)" if outcome.reused else ""
    print(f"\n{_headline(decision)} after {outcome.seconds:.1f} s{reused}\n")
    print(figures(metrics))
    print()
    for check in decision["checks"]:
        print(f"  {'✔' if check['passed'] else '✘'} {check['sentence']}")
    print(f"\nreport   {_shown(evaluation / 'report.html', root)}")
    if not decision["passed"]:
        print("model    refused, so nothing was registered; its package is kept in the job's folder")
        return 1
    name, version = outcome.models[-1]
    model = models.find_model(store, name, version)
    print(f"model    {name}:{version} in workspace {store.workspace!r} ({_shown(model.path, root)})")
    print(_scored(root, model.path))
    print(f"next     judge it on newer data: ./run run {STAGE_TEST} --set inputs.model.path=azureml:{name}:{version}")
    return 0


def _headline(decision: dict[str, Any]) -> str:
    return "PASSED: the model is registered" if decision["passed"] else "REFUSED: the model is not registered"


def figures(metrics: dict[str, Any]) -> str:
    """The models beside each other, aligned."""
    unit = metrics["unit"]
    columns = dict(metrics["candidates"])
    if metrics["champion"]:
        columns["champion"] = metrics["champion"]
    heads = [f"{'★ ' if name == metrics['winner'] else ''}{name} ({found['family']})" for name, found in columns.items()]
    widths = [max(len(head), 12) for head in heads]
    rows = f"{metrics['rows']:,} test rows"
    lines = [f"  {rows:<24}" + "  ".join(h.rjust(w) for h, w in zip(heads, widths, strict=True))]
    names = next(iter(columns.values()))["metrics"]
    for name in names:
        label = f"{name} ({unit})" if unit and name in ("rmse", "mae", "median_absolute_error") else name
        values = [found["metrics"][name]["value"] for found in columns.values()]
        cells = ["-" if value is None else f"{value:.4g}" for value in values]
        lines.append(f"  {label:<24}" + "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True)))
    return "\n".join(lines)


def _scored(root: Path, model: Path) -> str:
    """The request of the repository, answered by score.py in a process of its own, as an endpoint would run it."""
    request = root / "data-science" / "data" / "request.json"
    if not request.exists():
        return f"scored   nothing: there is no {_shown(request, root)}; put a few rows into it to see them scored"
    environment = {**os.environ, "AZUREML_MODEL_DIR": str(model)}
    done = subprocess.run(
        [sys.executable, "-c", _SCORE],
        cwd=root / "data-science" / "src",
        env=environment,
        input=request.read_bytes(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RunError(f"the model is registered, and {_shown(request, root)} is not a request for it: {''.join(last)}")
    return f"scored   {_shown(request, root)} → {done.stdout.decode().strip()}"


def _shown(path: Path, root: Path) -> str:
    try:
        return str(path.relative_to(root))
    except ValueError:
        return str(path)
