"""A 1 GB data asset registered twice: how much is stored, and how long each takes, beside `cp` of the same file.

    .venv/bin/python benchmarks/bench_content.py [--megabytes 1024]

Asked: stored once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine


def az(folder: Path, *words: str) -> float:
    """Seconds that a command takes."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "lockgate.az", *words],
        cwd=folder,
        env={**os.environ, "LOCKGATE_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - begin


def stored(folder: Path) -> float:
    """MB on disk below a folder; a file with several names counts once."""
    seen = {(s.st_dev, s.st_ino): s.st_blocks * 512 for s in (p.lstat() for p in folder.rglob("*") if p.is_file())}
    return sum(seen.values()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024)
    size = parser.parse_args().megabytes
    print(f"one file of {size} MiB; {machine()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".lockgate").mkdir()
        with (folder / "big.bin").open("wb") as stream:
            for _ in range(size):
                stream.write(os.urandom(1 << 20))
        az(folder, "group", "create", "-n", "rg", "-l", "here")
        az(folder, "ml", "workspace", "create", "-n", "dev", "-g", "rg")
        az(folder, "configure", "--defaults", "group=rg", "workspace=dev")
        begin = time.perf_counter()
        subprocess.run(["cp", "big.bin", "copy.bin"], cwd=folder, check=True)
        print(f"cp                      {time.perf_counter() - begin:6.1f} s")
        (folder / "copy.bin").unlink()
        for what, words in (("first version", ("-n", "big")), ("again, same name", ("-n", "big")), ("under another name", ("-n", "other"))):
            seconds = az(folder, "ml", "data", "create", *words, "--type", "uri_file", "--path", "big.bin")
            print(f"{what:<23} {seconds:6.1f} s, stored below .lockgate: {stored(folder / '.lockgate'):8.1f} MB")


if __name__ == "__main__":
    main()
