"""infrastructure/acceptance.sh from the bootstrap to the teardown, with the desk in Azure's place: the script itself, before it meets a subscription."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


@pytest.fixture
def house(tmp_path):
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "house")], check=True)
    folder = tmp_path / "house"
    binaries = tmp_path / "bin"
    binaries.mkdir()
    az = binaries / "az"
    az.write_text(f'#!/bin/bash\nexec {shlex.quote(sys.executable)} -m lockgate.az "$@"\n')
    az.chmod(0o755)
    # The clone's own ./run would install everything; this one is installed.
    (folder / "run").write_text(f'#!/bin/bash\nexec {shlex.quote(sys.executable)} -m lockgate "$@"\n')
    (folder / ".lockgate").mkdir()
    # There is no server behind this clone's origin.
    subprocess.run(["git", "remote", "remove", "origin"], cwd=folder, check=True)
    yield folder, {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "LOCKGATE_ROOT": str(folder), "EVERY": "1", "PATIENCE": "600"}
    subprocess.run([sys.executable, "-m", "lockgate", "down"], cwd=folder, capture_output=True, check=False)
    left = subprocess.run(["pgrep", "-af", str(folder)], capture_output=True, text=True, check=False).stdout
    assert left == ""


def call(folder, environment, *words):
    command = [
        "bash",
        "infrastructure/acceptance.sh",
        "--organization",
        "https://dev.azure.com/contoso",
        "--project",
        "flights",
        "--file",
        "said.txt",
        *words,
    ]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=900)


def test_from_the_bootstrap_to_a_production_answer_and_the_teardown(house):
    folder, environment = house
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    # The first time the bootstrap writes identities into the variables files: they have to be pushed before the pipelines read them.
    first = call(folder, environment)
    assert first.returncode != 0
    assert "commit and push infrastructure/env-variables, which the bootstrap has changed" in first.stdout
    assert "FAILED    pushed" in (folder / "said.txt").read_text()
    subprocess.run([*git, "commit", "-qam", "identities"], cwd=folder, check=True)
    # A search of 120 s proves nothing more here.
    script = folder / "infrastructure/acceptance.sh"
    script.write_text(script.read_text().replace('"searchSeconds": "120"', '"searchSeconds": "5"'))
    subprocess.run([*git, "commit", "-qam", "a short search"], cwd=folder, check=True)
    done = call(folder, environment, "--from", "pushed")
    said = (folder / "said.txt").read_text()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.findall(r"^passed    (\w+) in \d+ s$", said, re.MULTILINE)
    assert passed[-9:] == ["pushed", "infrastructure", "rights", "dev", "stage", "prod", "answer", "rollback", "teardown"]
    assert "reading production's registry, for the jobs of dev" in said
    assert "predictions" in said
    assert "there is nothing to go back to" in "".join(
        path.read_text() for path in (folder / ".lockgate/runs").glob("*/logs/Rollback.Rollback/*.txt")
    )
    groups = subprocess.run(
        [sys.executable, "-m", "lockgate.az", "group", "list", "--query", "[].name"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert groups.stdout.strip() == "[]"
    assert "refused, as it has to be; traffic is" in said


def test_a_step_that_fails_ends_it_and_says_where_to_go_on(house):
    folder, environment = house
    shutil.rmtree(folder / "mlops-pipelines")
    done = call(folder, environment, "--from", "answer")
    assert done.returncode == 1
    assert "FAILED    answer; said.txt has what it said; go on with --from answer, or end with --from teardown" in done.stdout
    assert re.search(r"^FAILED    answer in \d+ s, exit code \d+$", (folder / "said.txt").read_text(), re.MULTILINE)
