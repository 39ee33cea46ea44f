"""What the desk says of its runs: a file for each word, which the tracking server takes into MLflow's store.

The desk never waits for MLflow: it says that a run begins or ends, and goes on. The server takes the words in before it answers anybody, so
whoever asks finds the run. A word that was written is not lost, whoever is killed.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, Final

_COUNT: Final = itertools.count()
FOLDER: Final = "journal"


def begin_run(folder: Path, experiment: str, name: str, parent: str | None, tags: dict[str, str]) -> str:
    """Say that a run begins.

    Args:
        folder: of MLflow's store.
        experiment: its name; made if there is none.
        name: of the run.
        parent: id of the run that it belongs to.
        tags: further tags.

    Returns:
        The run's id.
    """
    run = uuid.uuid4().hex
    all_tags = {**tags, "mlflow.runName": name, **({"mlflow.parentRunId": parent} if parent else {})}
    _say(folder, {"begin": run, "experiment": experiment, "name": name, "tags": all_tags, "time": _milliseconds()})
    return run


def end_run(folder: Path, run: str, *, status: str) -> None:
    """Say that a run has ended, with MLflow's status: FINISHED, FAILED or KILLED."""
    _say(folder, {"end": run, "status": status, "time": _milliseconds()})


def words(folder: Path) -> list[Path]:
    """The files of what has been said and not been taken in, in their order."""
    try:
        return sorted(path for path in (folder / FOLDER).iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except FileNotFoundError:
        return []


def _say(folder: Path, word: dict[str, Any]) -> None:
    kept = folder / FOLDER
    kept.mkdir(parents=True, exist_ok=True)
    # Nanoseconds order the words of several processes, the count those of one.
    name = f"{time.time_ns():020d}-{next(_COUNT):06d}-{os.getpid()}.json"
    beside = kept / f".{name}"
    beside.write_text(json.dumps(word), encoding="utf-8")
    beside.replace(kept / name)


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
