"""What the docs say is there: commands parse, files exist, every key has its line."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.cli import build_parser
from tabular import project
from tabular.contract import Column

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for line in page.read_text().splitlines():
            match = re.match(r" {4,}(\./run\b.*)", line)
            if match:
                command = re.split(r"  +", match[1].strip())[0]
                found.append((page.name, command))
    return found


@pytest.mark.parametrize(("page", "command"), commands())
def test_every_run_command_of_the_docs_is_one_that_lockgate_takes(page: str, command: str) -> None:
    arguments = shlex.split(command)[1:]
    args = build_parser().parse_args(arguments or ["up"])
    for file in [*getattr(args, "files", []), *([args.file] if hasattr(args, "file") else [])]:
        assert list(ROOT.glob(str(file))), f"{page} names {file}, which is not there"


def test_the_docs_have_commands() -> None:
    assert len(commands()) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_the_docs_exist(page: Path) -> None:
    later = {"data-science/environment/*-conda.yml"}
    for name in re.findall(r"`((?:data-science|mlops-pipelines|src|docs|tools|tests|benchmarks)/[\w./*-]+)`", page.read_text()):
        assert list(ROOT.glob(name)) or name in later, f"{page.name} names {name}, which is not there"


@pytest.mark.parametrize("tool", ["write_pipelines_reference", "write_az_reference"])
def test_the_written_references_are_what_the_code_says(tool: str) -> None:
    done = subprocess.run([sys.executable, f"tools/{tool}.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "line", [line.strip() for line in (ROOT / "docs/azure-pipelines.md").read_text().splitlines() if line.startswith("    lockgate ")]
)
def test_every_lockgate_command_of_the_docs_is_one_that_it_takes(line: str) -> None:
    command = re.split(r"  +", line)[0].replace("[FILES]", "a.yml").replace(" RUN", " 1")
    build_parser().parse_args(shlex.split(command)[1:])


def test_every_key_of_project_yml_has_its_line_in_the_reference() -> None:
    text = (ROOT / "docs/reference/project.md").read_text()
    renamed = {"minimum": "range", "maximum": "range", "known": "unknown_at_prediction", "outlier_lower": "lower_quantile",
               "outlier_upper": "upper_quantile", "require": "champion.require", "confidence": "champion.confidence",
               "tolerance": "champion.tolerance", "slice_ratio": "slices.max_ratio", "slice_rows": "slices.min_rows", "by": "by:"}  # fmt: skip
    parts = (Column, project.Split, project.Limits, project.Cleaning, project.Encodings, project.Features, project.Search, project.Gates)
    for part in parts:
        for field in dataclasses.fields(part):
            name = renamed.get(field.name, field.name)
            # What only the command line of train.py sets is in its --help.
            if name in ("name", "trials", "trial_seconds", "exit_score", "patience"):
                continue
            assert name in text, f"{part.__name__}.{field.name} ({name}) is not in docs/reference/project.md"
    for metric in (*project.METRICS["regression"], *project.METRICS["classification"]):
        assert f"`{metric}`" in text
