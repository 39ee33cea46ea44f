"""Drives a parallel job: deals files out in mini batches to processes that run a script's `run(mini_batch)`.

    python -m lockgate.execution.parallel --entry score.py --input FOLDER --size 10 --workers 2 [--append-to FILE] [-- ARGUMENTS]

A mini batch that raises or takes longer than --timeout is tried again, up to --retries times. Files of mini batches that failed, and files
without a result (run() gave fewer results than it had files) count as failures; more of them than --error-threshold end the job, -1 lets all pass.
Results are appended in the order of the files, whichever process was first.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

WORKER: Final = Path(__file__).with_name("parallel_worker.py")
_EVERY: Final = 2.0
"""Seconds between two lines of progress."""


@dataclass
class Batch:
    """A mini batch."""

    number: int
    files: list[str]
    tries: int = 0
    begun: float = 0.0


@dataclass
class Tally:
    """How it went so far."""

    files: int = 0
    done: int = 0
    failed_files: int = 0
    failed_batches: int = 0
    retried: int = 0
    rows: int = 0
    reasons: list[str] = field(default_factory=list)


class Worker:
    """A process that runs mini batches, one after the other."""

    def __init__(self, number: int, python: str, entry: Path, arguments: list[str]) -> None:
        self.number = number
        self.batch: Batch | None = None
        self.ready = False
        ours, theirs = os.pipe()
        their_in, our_out = os.pipe()
        self.process = subprocess.Popen(
            [python, str(WORKER), str(their_in), str(theirs), str(entry), *arguments], stdin=subprocess.DEVNULL, pass_fds=(their_in, theirs)
        )
        os.close(theirs)
        os.close(their_in)
        self.answers: IO[bytes] = os.fdopen(ours, "rb")
        self._orders: IO[bytes] = os.fdopen(our_out, "wb")

    def give(self, batch: Batch) -> None:
        """Have a mini batch run."""
        batch.tries += 1
        batch.begun = time.monotonic()
        self.batch = batch
        try:
            self._orders.write(json.dumps(batch.files).encode() + b"\n")
            self._orders.flush()
        except BrokenPipeError:
            pass  # It has died; its end is seen at the other pipe.

    def end(self) -> None:
        """End it."""
        try:
            self._orders.close()
        except BrokenPipeError:
            pass  # It has died.
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.answers.close()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        self.answers.close()
        try:
            self._orders.close()
        except BrokenPipeError:
            pass  # It has died.


class Driver:
    """Runs all mini batches."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._python = os.environ.get("LOCKGATE_JOB_PYTHON") or sys.executable
        if (options.input / "MLTable").is_file():
            sys.exit(
                "the input is an mltable, whose rows are not dealt out on the desk; allowed here: uri_folder, uri_file, dealt out file by file"
            )
        files = list_input(options.input)
        self._batches = deque(Batch(n, files[i : i + options.size]) for n, i in enumerate(range(0, len(files), options.size)))
        self._count = len(self._batches)
        self._tally = Tally(files=len(files))
        self._results: dict[int, list[str]] = {}
        self._next = 0
        self._selector = selectors.DefaultSelector()
        self._workers: list[Worker] = []
        self._stop = ""
        self._starts = 0
        self._output: IO[str] | None = None

    def run(self) -> int:
        """Run them.

        Returns:
            The exit code.
        """
        tally, options = self._tally, self._options
        if not tally.files:
            print(f"there is no file in {options.input}", file=sys.stderr)
            return 1
        if options.append_to is not None:
            # Into a folder, under the name that Azure's own driver gives, or the one that a batch deployment asks for.
            folder = options.append_to.is_dir()
            path = options.append_to / os.environ.get("LOCKGATE_OUTPUT_FILE_NAME", "parallel_run_step.txt") if folder else options.append_to
            path.parent.mkdir(parents=True, exist_ok=True)
            self._output = path.open("w", encoding="utf-8")
        print(f"{tally.files} files in {self._count} mini batches for {min(options.workers, self._count)} processes", flush=True)
        try:
            for number in range(1, min(options.workers, self._count) + 1):
                self._start(number)
            shown = time.monotonic()
            while self._next < self._count and not self._stop:
                for key, _ in self._selector.select(0.1):
                    self._hear(key.data)
                self._watch()
                if time.monotonic() - shown > _EVERY:
                    shown = time.monotonic()
                    self._progress()
        finally:
            for worker in self._workers:
                (worker.kill if self._stop or worker.batch else worker.end)()
            if self._output is not None:
                self._output.close()
        self._progress()
        for reason in tally.reasons[:10]:
            print(reason, file=sys.stderr)
        if self._stop:
            print(self._stop, file=sys.stderr)
            return 1
        return 0

    def _progress(self) -> None:
        t = self._tally
        failed = f", {t.failed_files} files failed" if t.failed_files else ""
        again = f", {t.retried} mini batches tried again" if t.retried else ""
        print(f"{t.done} of {self._count} mini batches, {t.rows:,} results{failed}{again}", flush=True)

    def _start(self, number: int) -> None:
        self._starts += 1
        worker = Worker(number, self._python, self._options.entry, self._options.arguments)
        self._workers.append(worker)
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)

    def _hear(self, worker: Worker) -> None:
        line = worker.answers.readline()
        if not line:
            self._ended(worker, f"its process ended with exit code {worker.process.wait()}")
            return
        said: dict[str, Any] = json.loads(line)
        if not worker.ready:
            if "error" in said:
                self._stop = f"init() failed: {said['error']}"
                return
            worker.ready = True
        else:
            batch, worker.batch = worker.batch, None
            if batch is not None and "error" in said:
                self._failed(batch, said["error"])
            elif batch is not None:
                self._done(batch, said["rows"])
        self._feed(worker)

    def _feed(self, worker: Worker) -> None:
        if self._batches and worker.batch is None:
            worker.give(self._batches.popleft())

    def _watch(self) -> None:
        limit = self._options.timeout
        for worker in list(self._workers):
            if worker.batch is not None and time.monotonic() - worker.batch.begun > limit:
                self._ended(worker, f"it took longer than retry_settings.timeout of {limit} s")

    def _ended(self, worker: Worker, why: str) -> None:
        self._selector.unregister(worker.answers)
        worker.kill()
        self._workers.remove(worker)
        if not worker.ready:
            self._stop = f"a process ended before its init() had: exit code {worker.process.returncode}"
            return
        batch, worker.batch = worker.batch, None
        if batch is not None:
            self._failed(batch, why)
        if self._batches and not self._stop:
            self._start(worker.number)

    def _failed(self, batch: Batch, why: str) -> None:
        if batch.tries <= self._options.retries:
            self._tally.retried += 1
            self._batches.appendleft(batch)
            for worker in self._workers:
                if worker.ready:
                    self._feed(worker)
            return
        names = ", ".join(Path(name).name for name in batch.files[:3]) + (", …" if len(batch.files) > 3 else "")
        self._tally.reasons.append(f"mini batch {batch.number} ({names}) failed {batch.tries} times: {why}")
        self._tally.failed_batches += 1
        self._tally.failed_files += len(batch.files)
        self._finish(batch, [])

    def _done(self, batch: Batch, rows: list[str]) -> None:
        lacking = max(0, len(batch.files) - len(rows))
        if lacking:
            self._tally.failed_files += lacking
            self._tally.reasons.append(f"mini batch {batch.number}: run() gave {len(rows)} results for {len(batch.files)} files")
        self._finish(batch, rows)

    def _finish(self, batch: Batch, rows: list[str]) -> None:
        tally, options = self._tally, self._options
        tally.done += 1
        tally.rows += len(rows)
        self._results[batch.number] = rows
        while self._next in self._results:
            for row in self._results.pop(self._next):
                if self._output is not None:
                    self._output.write(row + "\n")
            self._next += 1
        for count, limit, what in (
            (tally.failed_files, options.error_threshold, "error_threshold"),
            (tally.failed_batches, options.batch_error_threshold, "mini_batch_error_threshold"),
        ):
            if 0 <= limit < count:
                self._stop = f"stopped: {count} failures are more than {what} {limit}"


def list_input(path: Path) -> list[str]:
    """The files of a folder, hidden ones (.NAME) left out, in order; or the one file."""
    if path.is_file():
        return [str(path)]
    found = [file for file in path.rglob("*") if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)]
    return [str(file) for file in sorted(found)]


def parse(words: list[str]) -> argparse.Namespace:
    """The command line; what follows `--` are the script's arguments."""
    own, arguments = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entry", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--append-to", type=Path)
    parser.add_argument("--size", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--retries", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=60)
    parser.add_argument("--error-threshold", type=int, default=-1)
    parser.add_argument("--batch-error-threshold", type=int, default=-1)
    options = parser.parse_args(own)
    options.arguments = arguments
    options.entry = options.entry.resolve()
    return options


if __name__ == "__main__":
    sys.exit(Driver(parse(sys.argv[1:])).run())
