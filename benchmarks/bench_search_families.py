"""What each library of the AutoML search brings for its megabytes: the search without it, on the tables of bench_search.

    .venv/bin/python benchmarks/bench_search_families.py [--workers 2] [--first-core 0] [--report]

Every cell is `train.py --without …` for 30 s on a core of its own, seed 0, on the tables of bench_search; `(nothing)` is the search with all
libraries, run beside the others and twice, since two runs of the same search differ: the second of them, relative to the first, says how much. What a
cell gave is kept in search_families.json beside this file, and run anew if other code made it. The megabytes are those of the library and of what is installed for it alone.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib.metadata
import json
import os
import tempfile
import tomllib
from pathlib import Path

import numpy as np
from bench_search import FOLDER, SOURCE, code_of, error_of, prepared, run_own, set_up
from measure import ROOT, machine
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RESULTS = Path(__file__).parent / "search_families.json"
SECONDS = 30
ALL, AGAIN = "(nothing)", "(again)"
LIBRARIES: dict[str, list[str]] = {
    ALL: [],
    AGAIN: [],
    "lightgbm": ["lightgbm"],
    "catboost": ["catboost"],
    "xgboost-cpu": ["xgboost"],
    "scikit-learn": ["extra_trees", "neural", "linear"],
}


def main() -> None:
    """Run what is missing, then say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="cells at once, a core each")
    parser.add_argument("--first-core", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="only say what there is")
    args = parser.parse_args()
    if not args.report:
        set_up(["own"])
        code = code_of(SOURCE)
        names = sorted(path.stem for path in (FOLDER / "tables").glob("*.json"))
        done = found()
        cells = [
            (name, library)
            for name in names
            for library in LIBRARIES
            if (cell := done.get(f"{name}/{library}")) is None or cell["code"] != code
        ]
        cores = sorted(os.sched_getaffinity(0))
        free = [cores[(args.first_core + n) % len(cores)] for n in range(args.workers)]
        with concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
            for cell, figures in zip(cells, pool.map(lambda cell: run_cell(*cell, free), cells), strict=True):
                done["/".join(cell)] = figures
                RESULTS.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(done[k])}" for k in sorted(done)) + "\n}\n")
                print(f"{cell[0]:<18} without {cell[1]:<12} {figures['error']:.5g}", flush=True)
    report()


def found() -> dict[str, dict[str, object]]:
    """The cells that are there."""
    cells: dict[str, dict[str, object]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return cells


def run_cell(name: str, library: str, free: list[int]) -> dict[str, object]:
    """The search without a library's families."""
    core = free.pop()
    try:
        folder = prepared(name, 0, core)
        facts = json.loads((folder / "facts.json").read_text())
        with tempfile.TemporaryDirectory(dir=FOLDER) as work:
            figures, answers = run_own(SOURCE, folder, facts, SECONDS, core, Path(work), without=LIBRARIES[library])
        error = error_of(np.load(folder / "truth.npy"), answers[""], facts["classes_in_order"])
        return {"error": round(error, 6), "seconds": round(figures["seconds"], 1), "code": figures["code"]}
    finally:
        free.append(core)


def needed(package: str) -> set[str]:
    """A package with all that is installed for it."""
    found, waiting = set(), [package]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        wanted = [Requirement(text) for text in requires]
        waiting += [r.name for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def megabytes(library: str) -> float:
    """Of the files of a library and of what is installed for it alone: without it, nothing that the project asks for would bring them."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    rest = set().union(*(needed(name) for text in asked if (name := Requirement(text).name) != library))
    packages = needed(library) - rest
    files = [file for name in packages for file in importlib.metadata.files(name) or []]
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file()) / 1e6


def report() -> None:
    """For each library its size, and by how much the error grows without it."""
    code = code_of(SOURCE)
    cells = {name: cell for name, cell in found().items() if cell["code"] == code}
    print(f"\nerror on test rows without a library, relative to the search with all, {SECONDS} s, seed 0; code {code}; {machine()}")
    shown = [library for library in LIBRARIES if library != ALL]
    print(f"  {'':<18}" + "".join(f"{library:>14}" for library in shown))
    ratios: dict[str, list[float]] = {library: [] for library in shown}
    for name in sorted({cell.split("/")[0] for cell in cells}):
        line = f"  {name:<18}"
        for library in shown:
            whole, without = cells.get(f"{name}/{ALL}"), cells.get(f"{name}/{library}")
            if whole is None or without is None:
                line += f"{'-':>14}"
                continue
            ratio = float(str(without["error"])) / float(str(whole["error"]))
            ratios[library].append(ratio)
            line += f"{ratio:>14.4f}"
        print(line)
    print(f"  {'geometric mean':<18}" + "".join(f"{np.exp(np.mean(np.log(r))) if r else np.nan:>14.4f}" for r in ratios.values()))
    print(f"  {'installed, MB':<18}" + "".join(f"{megabytes(library):>14.0f}" if LIBRARIES[library] else f"{'':>14}" for library in shown))


if __name__ == "__main__":
    main()
