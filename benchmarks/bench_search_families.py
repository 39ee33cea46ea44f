"""What each library of the AutoML search brings for its megabytes, and what the order of its portfolio does: on the tables of bench_search.

    .venv/bin/python benchmarks/bench_search_families.py [--workers 2] [--first-core 0] [--variants reversed …] [--seeds 0 1] [--report]

Every cell is a search of 30 s on a core of its own: on both splits `train.py --without` a library's families, on the first one with the portfolio in another order
(peers/search_order.py). Compared with it is the whole search as it is, `(nothing)`; `(again)` is that search once more, since two runs of the same differ: it says how much. What a cell gave is kept in search_families.json beside this file, with the code that made it. The megabytes
are those of the library and of what is installed for it alone.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib.metadata
import json
import os
import tempfile
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
from bench_search import FOLDER, SOURCE, code_of, error_of, interval, prepared, run_own, set_up
from measure import ROOT, machine
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from peers.search_order import ORDERS

RESULTS = Path(__file__).parent / "search_families.json"
SECONDS = 30
ALL, AGAIN = "(nothing)", "(again)"
LIBRARIES: dict[str, list[str]] = {
    "xgboost-cpu": ["xgboost"],
    "lightgbm": ["lightgbm"],
    "catboost": ["catboost"],
    "scikit-learn": ["extra_trees", "neural", "linear"],
}
SEEDS = {ALL: (0, 1), **dict.fromkeys(LIBRARIES, (0, 1)), AGAIN: (0,), **dict.fromkeys(ORDERS, (0,))}
"""Of the splits that each is run on."""


def main() -> None:
    """Run what is missing, then say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="cells at once, a core each")
    parser.add_argument("--first-core", type=int, default=0)
    parser.add_argument("--variants", nargs="*", choices=list(SEEDS), default=list(SEEDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--report", action="store_true", help="only say what there is")
    args = parser.parse_args()
    if not args.report:
        set_up(["own"])
        code = code_of(SOURCE)
        names = sorted(path.stem for path in (FOLDER / "tables").glob("*.json"))
        done = found()
        cells = [
            (name, seed, variant)
            for variant in args.variants
            for seed in SEEDS[variant]
            if seed in args.seeds
            for name in names
            if f"{name}/{seed}/{variant}/{code}" not in done
        ]
        cores = sorted(os.sched_getaffinity(0))
        free = [cores[(args.first_core + n) % len(cores)] for n in range(args.workers)]
        with concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
            for cell, figures in zip(cells, pool.map(lambda cell: run_cell(*cell, free), cells), strict=True):
                done["/".join((*map(str, cell), str(figures["code"])))] = figures
                RESULTS.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(done[k])}" for k in sorted(done)) + "\n}\n")
                print(f"{cell[0]:<18} {cell[1]}  {cell[2]:<16} {figures['error']:.5g}", flush=True)
    report()


def found() -> dict[str, dict[str, object]]:
    """The cells that are there."""
    cells: dict[str, dict[str, object]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return cells


def run_cell(name: str, seed: int, variant: str, free: list[int]) -> dict[str, object]:
    """The search without a library's families, or in another order."""
    core = free.pop()
    try:
        folder = prepared(name, seed, core)
        facts = json.loads((folder / "facts.json").read_text())
        with tempfile.TemporaryDirectory(dir=FOLDER) as work:
            figures, answers = run_own(
                SOURCE, folder, facts, SECONDS, core, Path(work),
                without=LIBRARIES.get(variant, ()), order=variant if variant in ORDERS else "",
            )  # fmt: skip
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
    """For each library its size, and by how much the error grows without it; for each order, what it changes; each of the code that most of its cells are of."""
    cells = found()
    print(f"the code here is {code_of(SOURCE)}; {SECONDS} s; {machine()}")
    for title, asked in (("without a library", (AGAIN, *LIBRARIES)), ("in another order", (AGAIN, *ORDERS))):
        codes = Counter(cell.split("/")[3] for cell in cells if cell.split("/")[2] in asked and cell.split("/")[2] != AGAIN)
        code = codes.most_common(1)[0][0] if codes else ""
        errors = {name.rsplit("/", 1)[0]: float(str(cell["error"])) for name, cell in cells.items() if cell["code"] == code}
        names = sorted({cell.split("/")[0] for cell in errors})
        shown = [variant for variant in asked if any(shared(errors, name, variant) for name in names)]
        print(f"\nerror on test rows {title}, relative to the search as it is, by code {code or '(no cells yet)'}")
        print(f"  {'':<18}" + "".join(f"{variant:>16}" for variant in shown))
        means: dict[str, list[float]] = {variant: [] for variant in shown}
        splits = {variant: max((len(shared(errors, name, variant)) for name in names), default=0) for variant in shown}
        for name in names:
            line = f"  {name:<18}"
            for variant in shown:
                logs = shared(errors, name, variant)
                if not logs:
                    line += f"{'-':>16}"
                    continue
                means[variant].append(float(np.mean(logs)))
                line += f"{np.exp(means[variant][-1]):>16.4f}"
            print(line)
        draws = [interval(np.array(m)) if m else (np.nan, np.nan) for m in means.values()]
        print(f"  {'geometric mean':<18}" + "".join(f"{np.exp(np.mean(m)) if m else np.nan:>16.4f}" for m in means.values()))
        print(f"  {'95 % of draws':<18}" + "".join(f"{f'{low:.3f} to {high:.3f}':>16}" for low, high in draws))
        print(f"  {'splits':<18}" + "".join(f"{count:>16}" for count in splits.values()))
    sizes = (f"{library} {megabytes(library):.0f}" for library in LIBRARIES)
    print(f"  installed, MB: {', '.join(sizes)}")


def shared(errors: dict[str, float], name: str, variant: str) -> list[float]:
    """Logarithms of a variant's error over the whole search's, of the splits that both are there for."""
    pairs = [(errors.get(f"{name}/{seed}/{variant}"), errors.get(f"{name}/{seed}/{ALL}")) for seed in SEEDS[variant]]
    return [float(np.log(one / other)) for one, other in pairs if one is not None and other is not None]


if __name__ == "__main__":
    main()
