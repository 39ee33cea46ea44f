"""Writes the text and the number of lines of every file."""

import argparse
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--text", required=True)
parser.add_argument("--output", type=Path, required=True)
args = parser.parse_args()
lines = [args.text] + [f"{path.name}: {len(path.read_text().splitlines())}" for path in sorted(args.data.iterdir())]
(args.output / "hello.txt").write_text("\n".join(lines) + "\n")
