"""From a raw file to training, validation and test tables: what `prep.py` and `stageprep.py` do.

Output folder of a side: `data.parquet` (float32 features and the target, nothing else), `MLTable`, and for the test
side `rows.parquet`: the same rows as the contract's typed columns, for slices, importance and proof of the package.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import narwhals as nw
import numpy as np
import polars as pl

from .contract import Contract, normalise
from .documents import write_json
from .errors import DataError
from .expression_frames import typed_column
from .fitting import fit
from .profile import ColumnProfile, read_profile, stability, write_profile
from .project import Project, Split
from .raw import ROW, Finding, Raw, findings_table, line_numbers, read_raw, refuse_if_too_many
from .recipe import CODES_FILE, Recipe
from .recipe_frames import FoldTables, apply_recipe
from .recording import record
from .scoring import check_manifest
from .split import SIDES, fold_of_hash, side_of_hash, side_of_time, with_hash

_HASH: Final = "__hash"
_SECOND: Final = "__hash2"
_SIDE: Final = "__side"
MLTABLE: Final = """\
type: mltable
paths:
  - file: ./data.parquet
transformations:
  - read_parquet
"""


@dataclass
class Prepared:
    """What a preparation did, for the log and for `prep.json`."""

    rows: dict[str, int]
    findings: list[Finding]
    features: tuple[str, ...]
    dropped: dict[str, str]
    sha256: str
    unknown: tuple[str, ...]

    def to_json(self) -> str:
        """A readable summary."""
        data = {**asdict(self), "findings": [f.to_dict() for f in self.findings]}
        return json.dumps(data, indent=1) + "\n"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of a folder's files."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        if file != path:
            digest.update(f"{file.relative_to(path)}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def prepare(raw_path: Path, project: Project, features: Path | None, outputs: dict[str, Path], recipe_dir: Path) -> Prepared:
    """Check, clean, split, fit and write.

    Args:
        raw_path: CSV or parquet with the target.
        project: what project.yml says.
        features: the user's features.py.
        outputs: side → folder to write into.
        recipe_dir: gets recipe.json, contract.json, profile.json, prep.json.

    Raises:
        DataError: the data break the contract, or a side has too few rows.
        ProjectError: features.py is wrong.
    """
    contract = project.contract
    derived = record(contract, project.features, features)
    sha256 = sha256_of(raw_path)
    for folder in (recipe_dir, *outputs.values()):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=recipe_dir) as work_name:
        work = Path(work_name)
        raw = read_raw(raw_path, contract, project.cleaning.limits, work, need=[contract.target])
        sided, findings = _divide(raw, project, raw_path, work)
        refuse_if_too_many(findings, raw_path)
        counts = _counts(sided, project, raw_path)
        frame = nw.from_native(sided.filter(pl.col(_SIDE) == 0))
        fold = fold_of_hash(nw.col(_HASH), project.encodings.folds)
        fitted = fit(frame, project, derived, fold=fold, rows=counts["train"], sha256=sha256)
        if not fitted.recipe.feature_names:
            raise DataError(f"{raw_path.name}: no column has more than one value, so there is nothing to learn from")
        for number, side in enumerate(SIDES):
            part = sided.filter(pl.col(_SIDE) == number)
            write_side(part, fitted.recipe, contract, outputs[side], folds=fitted.folds if side == "train" else None, fold=fold)
            if side == "test":
                write_rows(part, contract, outputs[side])
    (recipe_dir / "recipe.json").write_text(fitted.recipe.to_json())
    text = json.dumps(contract.to_dict(), indent=1) + "\n"
    (recipe_dir / "contract.json").write_text(text)
    # Beside the training rows too: an AutoML node is given them alone.
    (outputs["train"] / "contract.json").write_text(text)
    write_json(fitted.recipe.codes, outputs["train"] / CODES_FILE)
    write_profile(fitted.profile, recipe_dir / "profile.json")
    write_json(asdict(project.split), recipe_dir / "split.json")
    unknown = tuple(c.name for c in contract.columns if not c.known)
    prepared = Prepared({"file": raw.rows, **counts}, findings, fitted.recipe.feature_names, fitted.dropped, sha256, unknown)
    (recipe_dir / "prep.json").write_text(prepared.to_json())
    return prepared


def prepare_stage(raw_path: Path, project: Project, model: Path, output: Path, recipe_dir: Path) -> tuple[Prepared, dict[str, float]]:
    """Check stage data against the contract inside a registered model and apply the recipe inside it; nothing is fitted.

    Args:
        raw_path: CSV or parquet with the target.
        project: for the limits of findings.
        model: a package.
        output: gets data.parquet, MLTable, rows.parquet and stability.json.
        recipe_dir: gets the model's recipe and contract, and prep.json.

    Returns:
        What was done, and the population stability index of every column against training.

    Raises:
        DataError: the data break the contract.
        PackageError: the model is damaged.
    """
    check_manifest(model)
    contract = Contract.from_dict(json.loads((model / "contract.json").read_text()))
    recipe = Recipe.load(model / "recipe.json")
    sha256 = sha256_of(raw_path)
    for folder in (output, recipe_dir):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=recipe_dir) as work_name:
        raw = read_raw(raw_path, contract, project.cleaning.limits, Path(work_name), need=[contract.target])
        frame = raw.frame.with_columns(_target_index(contract).alias(contract.target))
        refuse_if_too_many(raw.findings, raw_path)
        count = int(frame.select(pl.len()).collect().item())
        if count < 2:
            raise DataError(f"{raw_path.name}: {count} usable rows; allowed: at least 2")
        write_side(frame, recipe, contract, output, folds=None, fold=None)
        write_rows(frame, contract, output)
        moved = column_stability(frame, contract, read_profile(model / "profile.json"), count)
    (output / "stability.json").write_text(json.dumps(moved, indent=1) + "\n")
    for name in ("recipe.json", "contract.json", "profile.json"):
        shutil.copyfile(model / name, recipe_dir / name)
    unknown = tuple(c.name for c in contract.columns if not c.known)
    prepared = Prepared({"file": raw.rows, "stage": count}, raw.findings, recipe.feature_names, {}, sha256, unknown)
    (recipe_dir / "prep.json").write_text(prepared.to_json())
    return prepared, moved


def _target_index(contract: Contract) -> pl.Expr:
    """The target as models get it: the number, or the class's position in `contract.classes`, Float64."""
    target = pl.col(contract.target)
    if contract.task == "regression":
        return target
    if contract[contract.target].type == "boolean":
        return target if contract.positive == "true" else 1 - target
    names = [normalise(name) for name in contract.classes]
    return target.replace_strict(names, list(range(len(names))), default=None, return_dtype=pl.Float64)


def _divide(raw: Raw, project: Project, raw_path: Path, work: Path) -> tuple[pl.LazyFrame, list[Finding]]:
    """Rows with a target, without duplicates, each with its side and hash; written once, since all later passes read them."""
    contract, split = project.contract, project.split
    hashed = with_hash(nw.from_native(raw.frame), contract, _HASH, seed=split.seed)
    hashed = with_hash(hashed, contract, _SECOND, seed=split.seed + 1, target=True)
    path = work / "hashed.parquet"
    hashed.to_native().with_columns(_target_index(contract).alias(contract.target)).sink_parquet(path)
    frame = pl.scan_parquet(path)
    findings = list(raw.findings)
    if project.cleaning.duplicates == "drop":
        frame, found = _without_duplicates(frame, raw.rows, project, raw_path)
        findings += found
    sided = nw.from_native(frame).with_columns(_side(split).alias(_SIDE))
    return sided.drop(_SECOND).to_native(), findings


def _without_duplicates(frame: pl.LazyFrame, rows: int, project: Project, path: Path) -> tuple[pl.LazyFrame, list[Finding]]:
    keys = frame.select(pl.col(_HASH) * 2**31 + pl.col(_SECOND)).collect().to_series().to_numpy()
    _, first = np.unique(keys, return_index=True)
    count = len(keys) - len(first)
    if not count:
        return frame, []
    again = np.ones(len(keys), dtype=bool)
    again[first] = False
    positions = frame.select(ROW).collect().to_series().to_numpy()[again]
    limit = project.cleaning.limits.duplicate
    names = ", ".join(project.contract.key) or "all columns"
    row = int(positions.min())
    line = line_numbers(path, {row}).get(row)
    finding = Finding("duplicate", names, count, count / rows, limit, "", line, "first one kept")
    return frame.filter(~pl.col(ROW).is_in(pl.Series(positions).implode())), [finding]


def _side(split: Split) -> nw.Expr:
    if split.by == "hash":
        return side_of_hash(nw.col(_HASH), split)
    return side_of_time(str(split.column), split.validation_from, split.test_from)


def _counts(frame: pl.LazyFrame, project: Project, path: Path) -> dict[str, int]:
    found = dict(frame.group_by(_SIDE).agg(pl.len()).collect().rows())
    counts: dict[str, int] = {side: int(found.get(number, 0)) for number, side in enumerate(SIDES)}
    for side, count in counts.items():
        if count < 2:
            raise DataError(
                f"{path.name}: the {side} side has {count} rows of {sum(counts.values())}; allowed: at least 2. "
                f"Add rows, or give it a larger part in project.yml (split)"
            )
    if project.contract.task == "classification":
        target = pl.col(project.contract.target)
        classes = frame.filter(pl.col(_SIDE) == 0).select(target.unique()).collect().to_series().to_list()
        lacking = [name for i, name in enumerate(project.contract.classes) if i not in classes]
        if lacking:
            raise DataError(f"{path.name}: no training row of class {', '.join(lacking)}; add rows, or take it out of the target's levels")
    return counts


def write_side(
    frame: pl.LazyFrame, recipe: Recipe, contract: Contract, folder: Path, *, folds: FoldTables | None, fold: nw.Expr | None
) -> None:
    """Write `data.parquet` and `MLTable` of a side: features by the recipe, and the target if the rows have one."""
    lazy = nw.from_native(frame)
    also = []
    if contract.target in lazy.collect_schema().names():
        also.append(nw.col(contract.target).cast(nw.Float64 if contract.task == "regression" else nw.Int32))
    apply_recipe(lazy, recipe, contract, folds=folds, fold=fold, also=also).sink_parquet(str(folder / "data.parquet"))
    (folder / "MLTable").write_text(MLTABLE)


def write_rows(frame: pl.LazyFrame, contract: Contract, folder: Path) -> None:
    """Write `rows.parquet`: the typed columns of a request and of slices, and the row's place in the raw file."""
    names = [c.name for c in contract.columns if c.known and c.name != contract.target]
    frame.select(ROW, *names).sink_parquet(folder / "rows.parquet")


def column_stability(frame: pl.LazyFrame, contract: Contract, profile: dict[str, ColumnProfile], rows: int) -> dict[str, float]:
    """Population stability index of every input column of a typed frame against training."""
    lazy = nw.from_native(frame)
    found: dict[str, float] = {}
    for c in contract.inputs:
        reference = profile.get(c.name)
        if reference is None:
            continue
        if c.type == "category":
            pairs = frame.group_by(c.name).len().drop_nulls().collect().rows()
            found[c.name] = stability(reference, {str(k): float(v) for k, v in pairs}, rows)
        elif c.type != "datetime":
            values = lazy.select(typed_column(c.name, contract).alias("v")).collect()["v"].drop_nulls().to_numpy()
            found[c.name] = stability(reference, values, rows)
    return found


__all__ = ["Prepared", "column_stability", "findings_table", "prepare", "prepare_stage", "sha256_of", "write_rows", "write_side"]
